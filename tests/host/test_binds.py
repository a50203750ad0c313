from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from advisor.documents import Server
from advisor.host.binds import _reaches, binds, said_by
from advisor.host.describe import Described
from advisor.host.installation import Installation
from advisor.host.settings import Layer, Settings
from advisor.host.sockets import Listener, UnixListener

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("gunicorn", {}, ["127.0.0.1:8000"]),
        ("gunicorn", {"bind": ":80,unix:/run/s"}, [":80", "unix:/run/s"]),
        ("uvicorn", {}, ["127.0.0.1:8000"]),
        ("uvicorn", {"host": "::1", "port": 80}, ["::1:80"]),
        ("uvicorn", {"uds": "/run/u"}, ["unix:/run/u"]),
        ("granian", {"port": 81}, ["127.0.0.1:81"]),
        ("granian", {"bind": "unix:/run/g"}, ["unix:/run/g"]),
        ("hypercorn", {"bind": "127.0.0.1"}, ["127.0.0.1"]),
    ],
)
def test_where_settings_say_that_a_server_listens(
    kind: str, line: dict[str, Any], expected: list[str]
) -> None:
    assert said_by(kind, Settings((Layer(line),))) == expected


@pytest.mark.parametrize(
    ("bind", "address", "port", "reaches"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("127.0.0.1:80", "127.0.0.1", 81, False),
        ("127.0.0.1:80", "127.0.0.2", 80, False),
        (":80", "0.0.0.0", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("::1:80", "::1", 80, True),
        ("localhost:80", "127.0.0.1", 80, True),
        ("127.0.0.1", "127.0.0.1", 8000, True),
        ("unix:/run/s", "127.0.0.1", 80, False),
    ],
)
def test_which_socket_a_bind_makes(bind: str, address: str, port: int, reaches: bool) -> None:
    listener = Listener(ipaddress.ip_address(address), port, 0, 1)
    assert _reaches(bind, listener) is reaches


def test_a_socket_is_named_from_the_servers_own_directory(tmp_path: Path) -> None:
    server = Server(
        kind="gunicorn",
        version=None,
        pid=7,
        app=None,
        listen=[],
        worker_class="sync",
        threads=1,
        workers=[],
        directory=str(tmp_path),
    )
    settings = Settings((Layer({"bind": "unix:run/s"}),))
    described = Described(server, Installation(None, None, {}), settings, [])
    assert binds(described, UnixListener(str(tmp_path / "run" / "s"), 1))
    assert not binds(described, UnixListener("/run/s", 1))
