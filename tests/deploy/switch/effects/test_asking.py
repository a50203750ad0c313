"""One client of the health route before real servers, on a port and on a unix socket."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch.asking import Client
from advisor.deploy.switch.documents import Health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Answering(BaseHTTPRequestHandler):
    """Answers 204, and 503 to any name but shop.example."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(204 if self.headers["Host"] == "shop.example" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: a unix socket's client has no address to log."""


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(address: str, port: int, host: str = "shop.example") -> list[int | None]:
    client = Client(Health("http", address, port, host, "/healthz"))
    with contextlib.closing(client):
        return [client.ask().status for _ in range(3)]


class OnPort(socketserver.ThreadingTCPServer):
    daemon_threads = True


class OnSocket(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def test_an_address_and_port() -> None:
    server = OnPort(("127.0.0.1", 0), Answering)
    with serving(server):
        assert asked("127.0.0.1", server.server_address[1]) == [204] * 3


def test_a_unix_socket_whose_port_says_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.sock")
    with serving(OnSocket(path, Answering)):
        assert asked(path, 0) == [204] * 3
        assert asked(path, 0, "other.example") == [503] * 3


@pytest.mark.parametrize("address", ["127.0.0.1", "{folder}/none.sock"])
def test_nobody_there_is_said(address: str, tmp_path: Path) -> None:
    client = Client(Health("http", address.format(folder=tmp_path), 1, "shop.example", "/"))
    answer = client.ask()
    assert not answer.is_good
    assert answer.words.startswith("gave no answer: ")
