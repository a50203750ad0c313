"""gunicorn.conf.py for every class and version, read back, and at work."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.matrix.daemons import made
from tests.render.kit.servers import (
    comments,
    recommended,
    text_of,
    told,
    usual,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

CONF = "gunicorn/gunicorn.conf.py"
CLASSES = {
    "sync": ("served:wsgi", "wsgi", 1),
    "gthread": ("served:create_wsgi()", "wsgi", 4),
    "gevent": ("served:wsgi", "wsgi", 1),
    "asgi": ("served:create_app()", "asgi", 1),
    "uvicorn_worker.UvicornWorker": ("served:app", "asgi", 1),
    "uvicorn.workers.UvicornWorker": ("served:app", "asgi", 1),
}
# What scripts/daemons.sh has for each version; uvicorn-worker 0.4 needs Gunicorn 21.
OLD = ("sync", "gthread", "gevent")
VERSIONS = {
    "20.1.0": (*OLD, "uvicorn.workers.UvicornWorker"),
    "23.0.0": (*OLD, "uvicorn_worker.UvicornWorker"),
    "27.0.1": ("sync", "gthread", "gevent", "asgi", "uvicorn_worker.UvicornWorker"),
}
PIECES = {"20.1.0": "gunicorn-20.1", "23.0.0": "gunicorn-23", "27.0.1": "gunicorn-27"}


def constants(text: str) -> dict[str, Any]:
    """Name and value of every assignment, which is all that the file may hold."""
    found: dict[str, Any] = {}
    for node in ast.parse(text).body:
        assert isinstance(node, ast.Assign), ast.unparse(node)
        (target,) = node.targets
        assert isinstance(target, ast.Name)
        assert target.id not in found
        found[target.id] = ast.literal_eval(node.value)
    return found


@usual
@given(values=values_of("gunicorn"), listen=st.sampled_from(["unix", "127.0.0.1:8000"]))
def test_what_is_recommended_reads_back(make: Make, values: dict[str, Any], listen: str) -> None:
    rec = recommended(make, "gunicorn", values, listen=listen)
    found = constants(text_of(rec, CONF))
    assert found.pop("wsgi_app") == "served:app"
    assert found.pop("proc_name") == "shop"
    found.pop("forwarded_allow_ips", None)
    expected = {name: value for name, value in values.items() if value is not None}
    if expected.get("reuse_port"):
        del expected["reuse_port"]
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected.items()
    }


@pytest.mark.parametrize(
    ("version", "left_out"),
    [
        ("20.1.0", {"control_socket_disable", "asgi_loop"}),
        ("23.0.0", {"control_socket_disable", "asgi_loop"}),
        ("24.1.0", {"control_socket_disable"}),
        ("27.0.1", set()),
        ("absent", {"control_socket_disable", "asgi_loop"}),
    ],
)
def test_what_a_version_does_not_know_is_left_out_with_the_reason(
    make: Make, version: str, left_out: set[str]
) -> None:
    values = {"control_socket_disable": True, "asgi_loop": "auto", "worker_class": "asgi"}
    text = text_of(recommended(make, "gunicorn", values, version=version), CONF)
    found = constants(text)
    assert left_out == {"control_socket_disable", "asgi_loop"} - set(found)
    for name in left_out:
        assert f"{name} is left out: it needs Gunicorn" in comments(text)
    assert "wsgi_app" in found


def test_a_gunicorn_before_20_1_reads_its_app_from_the_command(make: Make) -> None:
    text = text_of(recommended(make, "gunicorn", {}, version="20.0.4"), CONF)
    assert "wsgi_app" not in constants(text)
    assert "wsgi_app is left out: it needs Gunicorn 20.1" in comments(text)


def test_sockets_of_the_workers_own_would_pass_the_units_by(make: Make) -> None:
    text = text_of(recommended(make, "gunicorn", {"reuse_port": True}), CONF)
    assert "reuse_port" not in constants(text)
    assert "reuse_port is left out" in comments(text)
    alone = recommended(make, "gunicorn", {"reuse_port": True}, manage=["server"])
    assert constants(text_of(alone, CONF))["reuse_port"] is True


@pytest.mark.parametrize(
    ("proxy", "name"), [("nginx", "nginx"), ("caddy", "Caddy"), (None, "nginx")]
)
def test_uvicorns_workers_believe_whoever_may_open_our_socket(
    make: Make, proxy: str | None, name: str
) -> None:
    values = {"worker_class": "uvicorn_worker.UvicornWorker"}
    text = text_of(recommended(make, "gunicorn", values, proxy=proxy), CONF)
    assert constants(text)["forwarded_allow_ips"] == "*"
    assert f"only {name}'s group can open that socket" in comments(text)


def test_they_believe_nobody_on_a_socket_that_is_not_ours(make: Make) -> None:
    dropin = {"systemd.mode": "dropin", "systemd.unit": "web.service"}
    values = {"worker_class": "uvicorn_worker.UvicornWorker"}
    text = text_of(recommended(make, "gunicorn", values, **dropin), CONF)
    assert "forwarded_allow_ips" not in constants(text)
    assert "X-Forwarded-* is not believed" in comments(text)


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("version", "worker_class"),
    [(version, each) for version, known in VERSIONS.items() for each in known],
)
def test_each_class_answers_on_a_socket_handed_over(
    make: Make,
    tmp_path: Path,
    not_run: Callable[[str], NoReturn],
    version: str,
    worker_class: str,
) -> None:
    python = made(PIECES[version], not_run) / "bin" / "python"
    module, interface, threads = CLASSES[worker_class]
    values = {"worker_class": worker_class, "workers": 1, "threads": threads}
    stated = {"module": module, "interface": interface, "version": version}
    seen = told(recommended(make, "gunicorn", values, **stated), tmp_path, str(python))
    assert seen["scheme"] == "https"
