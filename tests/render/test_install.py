"""install.json: what the program on a target reads of a tree, and nothing else of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.switch.documents import Install
from advisor.render import render
from advisor.render.install import PATHS

if TYPE_CHECKING:
    from advisor.documents import Recommendation
    from tests.render.conftest import Make

APP, BALANCER, MONITORING = PATHS.values()
EVERYTHING = ["server", "proxy", "systemd", "sysctl", "redis", "workers", "monitoring"]
HOSTS = ["10.0.0.11:8080", "10.0.0.12:8080"]


def documents(rec: Recommendation) -> dict[str, Any]:
    return {
        file.path: json.loads(file.content) for file in render(rec) if file.path in PATHS.values()
    }


def app(rec: Recommendation) -> Any:
    return documents(rec)[APP]


def units(rec: Recommendation) -> list[tuple[str, str]]:
    return [(unit["name"], unit["kind"]) for unit in app(rec)["units"]]


def test_every_file_has_its_row_as_its_output_has_it(make: Make) -> None:
    intent = {
        "manage": EVERYTHING,
        "redis.role": "cache",
        "background.celery": {"app": "shop:c", "kind": "cpu"},
    }
    rec = make(intent=intent, settings={"sysctl.somaxconn": 4096})
    rows = {row["path"]: row for row in app(rec)["files"]}
    outputs = {file.path: file.output for file in render(rec) if file.output}
    assert rows.keys() == outputs.keys()
    for path, output in outputs.items():
        row = rows[path]
        assert row["component"] == path.partition("/")[0]
        assert (row["checker"], row["activation"]) == (output.checker, output.activation)
        assert int(row["mode"], 8) == output.mode
        assert row["target"].startswith("/")
        assert "{" not in row["target"] + row["group"]


def test_the_inputs_are_those_of_the_headers(make: Make) -> None:
    files = {file.path: file.content.decode() for file in render(make())}
    assert f"inputs {app(make())['inputs']}\n" in files["gunicorn/gunicorn.conf.py"]


@pytest.mark.parametrize(
    "intent",
    [
        {},
        {"proxy": "caddy"},
        {"tls": {"acme": True}},
        {"domain": None},
        {"manage": ["server"]},
        {"manage": EVERYTHING},
        {"proxy": "none"},
        {"server": "granian"},
        {"systemd.mode": "dropin", "systemd.unit": "shop-web.service"},
        {"hosts": HOSTS},
    ],
    ids=str,
)
def test_the_switch_reads_it(make: Make, intent: dict[str, Any]) -> None:
    for document in documents(make(intent=intent)).values():
        read = Install.from_json(json.dumps(document))
        assert (read.app, read.user) == ("shop", "shop" if document["part"] == "app" else "root")
        assert [row.path for row in read.files] == [row["path"] for row in document["files"]]


def test_the_units_are_in_the_order_in_which_they_start(make: Make) -> None:
    workers = {"manage": EVERYTHING, "background.rq": {"queues": ["default"], "kind": "cpu"}}
    assert units(make()) == [("shop.socket", "socket"), ("shop.service", "service")]
    assert units(make(intent=workers))[2:] == [("shop-rq.service", "worker")]
    assert units(make(intent={"server": "granian"})) == [("shop.service", "service")]
    assert units(make(intent={"manage": ["server", "proxy"]})) == []


@pytest.mark.parametrize(
    ("server", "reloads", "tries"),
    [("gunicorn", True, True), ("uvicorn", False, False), ("granian", False, False)],
)
def test_only_gunicorn_is_reloaded_and_tried_before(
    make: Make, server: str, reloads: bool, tries: bool
) -> None:
    service = app(make(intent={"server": server}))["units"][-1]
    assert service["reload"] is reloads
    assert ("--check-config" in service["trial"]) is tries


def test_what_reloads_a_unit_that_exists_nobody_knows(make: Make) -> None:
    intent = {"systemd.mode": "dropin", "systemd.unit": "web.service", "manage": ["systemd"]}
    (service,) = app(make(intent=intent))["units"]
    assert service == {"name": "web.service", "kind": "service", "reload": False, "trial": []}


def asked(rec: Recommendation) -> tuple[Any, ...] | None:
    health = app(rec)["health"]
    return tuple(health[key] for key in ("scheme", "address", "port", "host")) if health else None


@pytest.mark.parametrize(
    ("intent", "expected"),
    [
        ({}, ("http", "127.0.0.1", 80, "shop.example")),
        ({"proxy": "caddy"}, ("http", "127.0.0.1", 80, "shop.example")),
        ({"tls": {"acme": True}}, ("https", "127.0.0.1", 443, "shop.example")),
        ({"domain": None}, ("http", "127.0.0.1", 8080, "localhost")),
        ({"hosts": HOSTS}, ("http", "127.0.0.1", 8080, "shop.example")),
        ({"hosts": HOSTS, "proxy": "caddy"}, ("http", "127.0.0.1", 8080, "shop.example")),
        ({"proxy": "none"}, ("http", "/run/shop/shop.sock", 0, "shop.example")),
        (
            {"proxy": "none", "listen": "[::]:8000"},
            ("http", "::1", 8000, "shop.example"),
        ),
        ({"domain": "*.shop.example"}, ("http", "127.0.0.1", 80, "health.shop.example")),
        ({"manage": ["sysctl"]}, None),
    ],
    ids=str,
)
def test_a_host_asks_for_the_health_where_visitors_are_answered(
    make: Make, intent: dict[str, Any], expected: tuple[Any, ...] | None
) -> None:
    assert asked(make(intent=intent)) == expected


def test_a_proxy_that_wants_a_preface_is_passed_by(make: Make) -> None:
    settings = {
        "nginx.set_real_ip_from": ["10.0.0.0/8"],
        "nginx.real_ip_header": "proxy_protocol",
    }
    assert asked(make(settings=settings)) == ("http", "/run/shop/shop.sock", 0, "shop.example")


def test_a_load_balancers_and_a_prometheuss_files_have_documents_of_their_own(make: Make) -> None:
    found = documents(make(intent={"hosts": HOSTS, "manage": EVERYTHING, "domain": "a.example"}))
    folders = {path: {row["component"] for row in each["files"]} for path, each in found.items()}
    assert folders[BALANCER] == {"load_balancer"}
    assert folders[MONITORING] == {"monitoring"}
    assert folders[APP].isdisjoint({"load_balancer", "monitoring"})
    assert found[BALANCER]["units"] == found[MONITORING]["units"] == []
    assert found[BALANCER]["health"]["port"] == 80
    assert found[MONITORING]["health"] is None
    assert {tuple(each["peers"]) for each in found.values()} == {tuple(HOSTS)}


def test_what_watches_one_host_stands_on_it(make: Make) -> None:
    found = documents(make(intent={"manage": EVERYTHING}))
    assert list(found) == [APP]
    assert "monitoring" in {row["component"] for row in found[APP]["files"]}


@pytest.mark.parametrize(
    ("intent", "is_refused"),
    [
        ({"domain": None}, True),
        ({}, False),
        ({"domain": None, "proxy": "none"}, False),
        ({"domain": None, "manage": ["server", "systemd"]}, False),
    ],
    ids=str,
)
def test_without_a_domain_it_is_not_for_a_host(
    make: Make, intent: dict[str, Any], is_refused: bool
) -> None:
    assert bool(app(make(intent=intent))["refusal"]) is is_refused


def test_behind_a_load_balancer_only_that_one_needs_the_domain(make: Make) -> None:
    found = documents(make(intent={"domain": None, "hosts": HOSTS}))
    assert found[APP]["refusal"] is None
    assert "domain" in found[BALANCER]["refusal"]
