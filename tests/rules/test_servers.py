"""The servers' settings against the servers that are installed: names, defaults, what they do."""

from __future__ import annotations

import inspect
import select
import socket
import time
from contextlib import ExitStack
from dataclasses import fields
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from granian.http import HTTP1Settings
from granian.server.common import AbstractServer
from gunicorn.config import KNOWN_SETTINGS
from hypercorn.config import Config as HypercornConfig
from uvicorn import Config as UvicornConfig

from advisor.demo.processes import free_port, program, running
from advisor.documents import Component
from advisor.evidence import Basis
from advisor.rules import RULES, decide
from advisor.rules.versions import can
from tests.rules.cases.shared import COMPUTING, INPUTS, measured, plan

if TYPE_CHECKING:
    from pathlib import Path

# The model's choice, which has no default.
JOINT = {"workers", "threads"}
WSGI_APP = "tests.apps.wsgi_app:app"
ASGI_APP = "tests.apps.asgi_app:app"


def parameters(function: Any) -> dict[str, Any]:
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


OPTIONS: dict[str, dict[str, Any]] = {
    "gunicorn": {one.name: one.default for one in KNOWN_SETTINGS},
    "uvicorn": parameters(UvicornConfig),
    "hypercorn": {name: getattr(HypercornConfig, name) for name in dir(HypercornConfig)},
    "granian": parameters(AbstractServer)
    | {f"http1_{one.name}": one.default for one in fields(HTTP1Settings)},
}
OURS = sorted(id_ for id_ in RULES if id_.partition(".")[0] in OPTIONS)


@pytest.mark.parametrize("id_", OURS)
def test_a_setting_is_an_option_of_its_server_with_its_default(id_: str) -> None:
    server, _, name = id_.partition(".")
    assert name in OPTIONS[server]
    if name not in JOINT and id_ != "gunicorn.worker_class":
        own = OPTIONS[server][name]
        assert RULES[id_].default == getattr(own, "value", own)


def evidence(server: str) -> dict[str, Any]:
    """A growing app with slow imports behind nginx: as many settings as a server can have."""
    installed = {name: Component(version=version(name)) for name in (server, "uvloop")}
    interface = "wsgi" if server == "gunicorn" else "asgi"
    return {
        "server": server,
        "proxy": "nginx",
        "hosts": [],
        "routes": {"/ws": "websocket"},
        "app.interface": interface,
        "kernel.somaxconn": 4096,
        "latency_s.p99": measured(2),
        "memory_growth_bytes_per_request": measured(100),
        "components.uvloop.version": installed["uvloop"].version,
        "plan.class": "sync",
        "plan.kind": "one",
        "plan.workers": 2,
        "plan.threads": 1,
        "plan.concurrency": 64,
        **plan(COMPUTING),
        "plan.basis": Basis("high", INPUTS | {"boot_cpu_s": 2.1}, "--memory"),
        **can(installed),
    }


def advised(server: str) -> dict[str, Any]:
    settings = decide(evidence(server), {}).settings
    return {
        setting.id.partition(".")[2]: setting.value
        for setting in settings
        if setting.id.startswith(f"{server}.") and setting.value is not None
    }


def command(server: str, app: str, values: dict[str, Any], port: int, folder: Path) -> list[str]:
    """The server started with the values, each in the server's own way."""
    bind = f"127.0.0.1:{port}"
    lines = [f"{name} = {value!r}" for name, value in values.items()]
    if server == "gunicorn":
        (folder / "gunicorn.conf.py").write_text("\n".join(lines))
        return [program(server), "-c", str(folder / "gunicorn.conf.py"), "-b", bind, app]
    if server == "hypercorn":
        (folder / "hypercorn.toml").write_text("\n".join(lines).replace("True", "true"))
        return [program(server), "-c", str(folder / "hypercorn.toml"), "-b", bind, app]
    flags = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            flags += [f"--{flag}", str(value)]
    interface = ["--interface", "asgi"] if server == "granian" else []
    return [program(server), "--port", str(port), *interface, *flags, app]


@pytest.mark.daemon
@pytest.mark.parametrize("server", OPTIONS)
def test_a_server_starts_with_what_is_advised(server: str, tmp_path: Path) -> None:
    values = advised(server)
    assert len(values) >= 8
    app = WSGI_APP if server == "gunicorn" else ASGI_APP
    port, log = free_port(), tmp_path / "log"
    start = command(server, app, values, port, tmp_path)
    with running(start, url=f"http://127.0.0.1:{port}/compute", log=log):
        deadline = time.monotonic() + 30
        # A worker of Granian that is told to stop before it has started does not hear of it.
        while server == "granian" and log.read_text().count("Started worker") < values["workers"]:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    assert "Traceback" not in log.read_text()


SHORT, LONG = 1, 60
IDLE: dict[str, tuple[str, str, int]] = {
    "gthread": ("gunicorn", "keepalive", 1),
    "asgi": ("gunicorn", "keepalive", 1),
    "uvicorn_worker.UvicornWorker": ("gunicorn", "keepalive", 1),
    "uvicorn": ("uvicorn", "timeout_keep_alive", 1),
    "hypercorn": ("hypercorn", "keep_alive_timeout", 1),
    "granian": ("granian", "http1_header_read_timeout", 1000),
}


def opened(port: int) -> socket.socket:
    """A connection that has had its answer and is idle."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /compute HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return connection


def closed(connection: socket.socket, within: float) -> bool:
    """Whether the server closes the connection in that time; the rest of its answer is read."""
    deadline = time.monotonic() + within
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([connection], [], [], left)
        try:
            if ready and not connection.recv(65536):
                return True
        except ConnectionResetError:
            return True
    return False


@pytest.mark.daemon
@pytest.mark.parametrize("name", IDLE)
def test_the_setting_decides_how_long_a_connection_may_idle(name: str, tmp_path: Path) -> None:
    server, setting, factor = IDLE[name]
    app = WSGI_APP if name == "gthread" else ASGI_APP
    ports = {}
    with ExitStack() as stack:
        for seconds in (SHORT, LONG):
            folder = tmp_path / str(seconds)
            folder.mkdir()
            ports[seconds] = free_port()
            values: dict[str, Any] = {setting: seconds * factor}
            if server == "gunicorn":
                values |= {"worker_class": name, "threads": 2 if name == "gthread" else 1}
            start = command(server, app, values, ports[seconds], folder)
            url = f"http://127.0.0.1:{ports[seconds]}/compute"
            stack.enter_context(running(start, url=url, log=folder / "log"))
        long = stack.enter_context(opened(ports[LONG]))
        short = stack.enter_context(opened(ports[SHORT]))
        assert closed(short, 30)
        assert not closed(long, 0.1)
