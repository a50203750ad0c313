"""The load of benchmarks/apply calls lost what a client would."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from http.client import HTTPConnection

import pytest

from benchmarks.apply.load import _asked

OK = b"HTTP/1.1 200 OK\r\nContent-Length: "
GOOD = OK + b'15\r\n\r\n{"marker": "a"}'


def asked(*answers: bytes, keeps: bool = False) -> list[tuple[bool, str | None, bool]]:
    """One request for each answer, each on a connection that the server then closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = HTTPConnection("127.0.0.1", server.getsockname()[1], timeout=5)
        with closing(client):
            found = [_asked(client, "/pid", keeps=keeps) for _ in answers]
        thread.join()
    return [(each.lost is not None, each.marker, each.again) for each in found]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        OK + b"15\r\n\r\n{}",
        OK + b"5\r\n\r\nshort",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_whole_good_answer_is_lost(answer: bytes) -> None:
    assert asked(answer, GOOD) == [(True, None, False), (False, "a", False)]


@pytest.mark.parametrize("keeps", [False, True])
def test_a_whole_one_is_not(keeps: bool) -> None:
    assert [lost for lost, _, _ in asked(GOOD, GOOD, GOOD, keeps=keeps)] == [False] * 3


def test_nothing_that_listens_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert _asked(HTTPConnection("127.0.0.1", port), "/pid", keeps=False).lost
