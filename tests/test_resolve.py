"""advisor.yml made whole: configured before observed before default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Component, Facts, Measurement, Server
from advisor.errors import TooLittleEvidence
from advisor.intent import Intent
from advisor.resolve import Resolution, app_name, resolve

EXAMPLES = Path(__file__).parent / "examples"
SERVER = files.read(Facts, EXAMPLES / "facts.json").servers[0]
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
KEYS = {
    *(f"app.{key}" for key in ("name", "module", "interface", "directory", "virtualenv", "user")),
    *(f"app.{key}" for key in ("health", "environment", "environment_file", "writable")),
    *("server", "listen", "proxy", "domain", "tls", "static", "manage", "pins"),
    *("targets.rate_rps", "targets.p99_s", "targets.concurrency"),
    *("budget.memory", "budget.cpus", "limits.request_body", "limits.rate_per_client_rps"),
    *("routes", "hosts", "database.max_connections", "database.reserved", "redis.role"),
    *("background.celery", "background.rq", "systemd.mode", "systemd.unit"),
}


def want(**keys: Any) -> Intent:
    app = {"module": "shop.main:app"} | keys.pop("app", {})
    return files.validate(Intent, {"app": app, **keys}, name="advisor.yml")


def running(**changes: Any) -> Server:
    return SERVER.model_copy(update=changes)


def resolved(
    intent: Intent | None = None,
    server: Server | None = None,
    measurement: Measurement | None = None,
) -> Resolution:
    return resolve(intent, server, measurement, {})


def pair(resolution: Resolution, key: str) -> tuple[Any, str]:
    return resolution[key], resolution.values[key].from_


def test_every_key_is_there_whatever_is_known() -> None:
    for resolution in (resolved(want()), resolved(None, SERVER), resolved(want(), SERVER)):
        assert set(resolution.values) == KEYS


def test_configured_goes_before_observed_before_default() -> None:
    seen = running(directory="/opt/shop", user="web")
    both = resolved(want(app={"directory": "/srv/mine"}), seen)
    assert pair(both, "app.directory") == ("/srv/mine", "config")
    assert pair(both, "app.virtualenv") == ("/srv/mine/venv", "default")
    assert pair(both, "app.user") == ("web", "observed")
    assert pair(resolved(None, seen), "app.directory") == ("/opt/shop", "observed")
    assert pair(resolved(want()), "app.directory") == ("/srv/shop", "default")


def test_defaults() -> None:
    plain = resolved(want())
    for key, value in {
        "app.name": "shop",
        "app.user": "shop",
        "app.health": None,
        "app.environment": {},
        "app.writable": [],
        "server": "gunicorn",
        "listen": "unix",
        "proxy": "nginx",
        "domain": None,
        "static": {},
        "manage": ["server", "proxy", "systemd"],
        "pins": {},
    }.items():
        assert pair(plain, key) == (value, "default")


def test_what_was_assumed_is_said() -> None:
    said = {entry.what for entry in resolved(want()).unknown}
    assert said == {"app.interface", "app.directory", "app.virtualenv"}
    told = want(app={"interface": "asgi", "directory": "/a", "virtualenv": "/b"})
    assert resolved(told).unknown == []


def test_no_module_is_too_little_evidence() -> None:
    for server in (None, running(app=None)):
        with pytest.raises(TooLittleEvidence, match="no app is known") as caught:
            resolved(None, server)
        assert "--config with app.module" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("app.directory", "directory", "/srv/a b"),
        ("app.directory", "directory", "/srv/x;\nuser root"),
        ("app.virtualenv", "virtualenv", "/srv/{{ x }}"),
        ("app.user", "user", "DOMAIN\\user"),
    ],
)
def test_hostile_host_data_is_not_used_and_said(key: str, field: str, value: str) -> None:
    resolution = resolved(None, running(**{field: value}))
    assert resolution.values[key].from_ == "default"
    assert value not in str(resolution.values)
    (entry,) = [
        entry
        for entry in resolution.unknown
        if entry.remedy == f"Set {key} in advisor.yml." and "safely" in entry.why
    ]
    assert entry.what == key


def test_a_hostile_observed_module_is_no_module() -> None:
    with pytest.raises(TooLittleEvidence):
        resolved(None, running(app="os:system('id')"))


@given(st.text(min_size=1))
def test_no_observed_text_reaches_the_intent_but_by_the_allow_list(text: str) -> None:
    resolution = resolved(None, running(directory=text, virtualenv=text, user=text))
    config = {
        key.partition(".")[2]: resolution[key]
        for key in ("app.name", "app.directory", "app.virtualenv", "app.user")
    }
    assert want(app=config).app.directory == resolution["app.directory"]


@given(st.text(), st.none() | st.text())
def test_any_module_and_folder_make_an_acceptable_name(module: str, folder: str | None) -> None:
    assert want(app={"name": app_name(module, folder)}).app.name


def test_a_server_run_by_root_gets_a_user_of_its_own() -> None:
    assert pair(resolved(None, running(user="root")), "app.user") == ("shop", "default")


@pytest.mark.parametrize(
    ("changes", "interface"),
    [
        ({"worker_class": "uvicorn_worker.UvicornWorker"}, "asgi"),
        ({"worker_class": "gthread"}, "wsgi"),
        ({"kind": "uvicorn", "worker_class": None}, "asgi"),
        ({"worker_class": "gthread", "interface": "asgi"}, "asgi"),
    ],
)
def test_the_interface_is_seen(changes: dict[str, Any], interface: str) -> None:
    assert pair(resolved(None, running(**changes)), "app.interface") == (interface, "observed")


def test_the_interface_is_seen_in_the_measurement_or_guessed() -> None:
    assert pair(resolved(want(), None, MEASURED), "app.interface") == ("asgi", "observed")
    for module, interface in (("a.asgi:app", "asgi"), ("a.wsgi:app", "wsgi"), ("a:app", "wsgi")):
        guess = resolved(want(app={"module": module}))
        assert pair(guess, "app.interface") == (interface, "default")
    uvicorn = {"uvicorn": Component(version="0.54.0")}
    assert resolve(want(), None, None, uvicorn)["app.interface"] == "asgi"


def probed(url: str, **statuses: int) -> Measurement:
    fact = MEASURED.http[0]
    facts = [
        fact.model_copy(update={"path": f"/{name}", "status": status})
        for name, status in statuses.items()
    ]
    target = MEASURED.target.model_copy(update={"url": url})
    return MEASURED.model_copy(update={"http": facts, "target": target})


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        (probed("http://h/items", items=200, healthz=200), ("/healthz", "observed")),
        (probed("http://h/items", items=200, healthz=404, ping=200), ("/ping", "observed")),
        (probed("http://h/items?x=1#y", items=200), ("/items", "default")),
        (probed("http://h", items=200), ("/", "default")),
        (probed("http://[::1]:8000/a;b"), (None, "default")),
        (None, (None, "default")),
    ],
)
def test_the_health_route(measurement: Measurement | None, expected: tuple[Any, str]) -> None:
    assert pair(resolved(want(), None, measurement), "app.health") == expected


def test_every_section_is_there_key_by_key_as_plain_data() -> None:
    given_ = want(
        database={"max_connections": 100},
        redis={"role": "cache"},
        background={"celery": {"app": "shop.tasks", "kind": "cpu"}},
        tls={"acme": True},
        routes={"/ws": "websocket", "/search": {"microcache": "1s"}},
        hosts=["10.0.0.11:8000", "web2.example:80"],
    )
    found = resolved(given_)
    assert (found["database.max_connections"], found["database.reserved"]) == (100, 0)
    assert found["redis.role"] == "cache"
    assert found["background.celery"] == {"app": "shop.tasks", "kind": "cpu"}
    assert found["background.rq"] is None
    assert found["tls"] == {"acme": True}
    assert found["routes"] == {"/ws": "websocket", "/search": {"microcache": "1s"}}
    assert found["hosts"] == ["10.0.0.11:8000", "web2.example:80"]
    assert found["systemd.mode"] is None
