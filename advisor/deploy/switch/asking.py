"""Asking an app's health route through its proxy, once or as a light load."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .services import Baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .documents import Health

TIMEOUT_S = 2.0
RATE_RPS = 20.0
# Each second one request comes by a new connection: what only new ones meet is met too.
CONNECTION_S = 1.0
MOST_BYTES = 1024**2
PART_BYTES = 65536
SAID_BYTES = 64
# A certificate is for a name, and this host is asked by its address: whether it is trusted is
# `verify`'s question.
UNVERIFIED = "the certificate was not verified: the request went to this host's own address"


@dataclass(frozen=True)
class Answer:
    """One request: the status, or what went wrong instead, and how long it took."""

    seconds: float
    status: int | None = None
    error: str = ""
    # The beginning of what it said.
    said: bytes = b""

    @property
    def is_good(self) -> bool:
        """Whether the app says that it is well."""
        return self.status is not None and self.status < 400

    @property
    def words(self) -> str:
        """The answer in words."""
        return f"answered {self.status}" if self.status is not None else self.error


class Client:
    """Asks one route; connections live for a second."""

    def __init__(self, health: Health, *, timeout_s: float = TIMEOUT_S) -> None:
        self._health = health
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._since = 0.0

    def ask(self) -> Answer:
        """One GET. A kept connection that the proxy has closed in between is no failure."""
        began = time.monotonic()
        if self._connection is not None and began - self._since < CONNECTION_S:
            try:
                return self._answer(self._connection, began)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                pass
            except (OSError, http.client.HTTPException) as error:
                return self._failed(error, began)
        self.close()
        try:
            self._connection = self._connected()
            self._since = began
            return self._answer(self._connection, began)
        except (OSError, http.client.HTTPException) as error:
            return self._failed(error, began)

    def close(self) -> None:
        """End the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _answer(self, connection: http.client.HTTPConnection, began: float) -> Answer:
        headers = {"Host": self._health.host, "User-Agent": "advisor-gate"}
        connection.request("GET", self._health.path, headers=headers)
        response = connection.getresponse()
        read, said = 0, b""
        # No one wait may last longer than the time limit, and neither may all of them.
        while part := response.read1(PART_BYTES):
            read += len(part)
            said = said or part[:SAID_BYTES]
            if time.monotonic() - began > self._timeout_s:
                raise TimeoutError
            if read > MOST_BYTES:
                self.close()
                break
        # Before cpython#113199 it does not count as read by itself, and the next request fails.
        response.close()
        if response.will_close:
            self.close()
        return Answer(time.monotonic() - began, response.status, said=said)

    def _failed(self, error: Exception, began: float) -> Answer:
        self.close()
        seconds = time.monotonic() - began
        if isinstance(error, TimeoutError):
            return Answer(seconds, error=f"did not answer within {self._timeout_s:g} s")
        return Answer(seconds, error=f"gave no answer: {error or type(error).__name__}")

    def _connected(self) -> http.client.HTTPConnection:
        """To the address itself; the proxy learns the name from Host and, by TLS, from SNI."""
        health = self._health
        plain = self._unix() if health.address.startswith("/") else self._tcp()
        connection = http.client.HTTPConnection(health.address, health.port)
        if health.scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection.sock = context.wrap_socket(plain, server_hostname=health.host)
        else:
            connection.sock = plain
        return connection

    def _tcp(self) -> socket.socket:
        where = (self._health.address, self._health.port)
        plain = socket.create_connection(where, self._timeout_s)
        # Small answers are not held back for an acknowledgement.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain

    def _unix(self) -> socket.socket:
        """An app that no proxy of ours stands before, at its own socket."""
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(self._timeout_s)
        try:
            plain.connect(self._health.address)
        except OSError:
            plain.close()
            raise
        return plain


def paced(client: Client, seconds: float, *, at_least: int = 1) -> Iterator[Answer]:
    """Answers at an even pace for so long, and so many; a slow one delays those behind it."""
    began = time.monotonic()
    sent = 0
    asked = 0
    while (now := time.monotonic() - began) < seconds or asked < at_least:
        due = sent / RATE_RPS
        if due > now:
            time.sleep(due - now)
        else:
            # After a slow answer the pace goes on from here: nothing is sent in a burst.
            sent = max(sent, int(now * RATE_RPS))
        sent += 1
        asked += 1
        yield client.ask()


def collected(answers: Iterable[Answer]) -> Baseline:
    """A load's outcome, as it is compared."""
    found = list(answers)
    good = tuple(answer.seconds for answer in found if answer.is_good)
    return Baseline(times_s=good, errors=len(found) - len(good))


def good_once(client: Client, tries: int, pause: Callable[[], None]) -> Answer:
    """The first good answer, or the last of so many."""
    answer = client.ask()
    for _ in range(tries - 1):
        if answer.is_good:
            break
        pause()
        answer = client.ask()
    return answer
