from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from advisor.host.binds import _reaches, said_by
from advisor.host.settings import Layer, Settings
from advisor.host.sockets import Listener


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
