"""A server of bare sockets: it notes what it is asked, and answers whatever a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


class Recorder:
    """Each request's head goes to `requests`, and to `script`, which gives the bytes to send.

    A connection lives until a script raises `ConnectionError`.
    """

    def __init__(
        self, script: Callable[[bytes], Iterable[bytes]], path: Path | None = None
    ) -> None:
        self.script = script
        self.requests: list[bytes] = []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen()
            self.url = "http://shop.example"
        else:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def lines(self) -> list[str]:
        """The request lines, in their order."""
        return [request.partition(b"\r\n")[0].decode("latin-1") for request in self.requests]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        with connection, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in pending:
                    received = connection.recv(65536)
                    if not received:
                        return
                    pending += received
                request, _, pending = pending.partition(b"\r\n\r\n")
                self.requests.append(request)
                for piece in self.script(request):
                    connection.sendall(piece)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def recorder() -> Iterator[Callable[..., Recorder]]:
    with contextlib.ExitStack() as stack:

        def start(script: Callable[[bytes], Iterable[bytes]], path: Path | None = None) -> Recorder:
            made = Recorder(script, path)
            stack.callback(made.close)
            return made

        yield start


def answer(body: bytes = b"ok", *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """One HTTP/1.1 answer with its length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture(name="answer")
def _answer() -> Callable[..., bytes]:
    return answer
