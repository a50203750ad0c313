"""A constant load that is answerable for every request: what was asked, when, and what came."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import threading
import time
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "shop.example"
# What users' clients wait for, and more than any restart behind a socket takes.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """One request: when it began and ended (monotonic), and why it counts as lost.

    `marker` says which generation answered, where the route tells it; `again` that a kept
    connection was closed as it was used, and the request asked on another (RFC 9112, 9.3.1).
    """

    began: float
    ended: float
    lost: str | None
    marker: str | None = None
    again: bool = False


class Load:
    """Requests at a steady rate while the `with` lasts; `answers` has all that ended.

    So many clients take turns, each with a connection for each request; the `keeping` ones among
    them keep theirs, as browsers do.
    """

    def __init__(
        self,
        address: str,
        *,
        rate: float,
        clients: int,
        keeping: int = 0,
        paths: Sequence[str] = ("/pid",),
    ) -> None:
        self.address = address
        self.answers: list[Answer] = []
        self._paths = paths
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number / rate, clients / rate, number))
            for number in range(clients)
        ]
        self._keeping = keeping

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, after_s: float, every_s: float, number: int) -> None:
        """One client: a request each `every_s`, and what a stall held up right behind it."""
        due = time.monotonic() + after_s
        paths = cycle(self._paths[number % len(self._paths) :] + self._paths[:number])
        keeps = number < self._keeping
        connection = http.client.HTTPConnection(self.address, 80, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            while not self._ended.wait(max(0.0, due - time.monotonic())):
                self.answers.append(_asked(connection, next(paths), keeps=keeps))
                due += every_s


def _asked(connection: http.client.HTTPConnection, path: str, *, keeps: bool) -> Answer:
    began = time.monotonic()
    again = False
    if not keeps or _is_closed(connection):
        connection.close()
    is_kept = connection.sock is not None
    try:
        try:
            status, body = _exchange(connection, path, keeps=keeps)
        except (ConnectionError, http.client.RemoteDisconnected):
            if not is_kept:
                raise
            again = True
            connection.close()
            status, body = _exchange(connection, path, keeps=keeps)
        lost = None if 200 <= status < 300 else f"status {status}"
        marker = json.loads(body).get("marker") if lost is None else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        return Answer(began, time.monotonic(), f"{type(error).__name__}: {error}", again=again)
    return Answer(began, time.monotonic(), lost, marker, again)


def _is_closed(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed a kept connection, which a client looks for before each use."""
    return connection.sock is not None and bool(select.select([connection.sock], [], [], 0)[0])


def _exchange(
    connection: http.client.HTTPConnection, path: str, *, keeps: bool
) -> tuple[int, bytes]:
    """Status and body; one that is shorter than announced raises (http.client.IncompleteRead)."""
    words = {"Host": HOST} | ({} if keeps else {"Connection": "close"})
    connection.request("GET", path, headers=words)
    answer = connection.getresponse()
    return answer.status, answer.read()
