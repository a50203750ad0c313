"""The load engine: closed-loop HTTP/1.1 GETs over kept-alive connections, on one uvloop.

A connection is a bare asyncio protocol with httptools' parser: about 1/50 of httpx's CPU per
request, so that the generator does not become what is measured (FACTS: clients compared;
benchmarks/client.py). Latency counts from the write of a request to the end of its answer.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import httptools

from advisor import __version__

if TYPE_CHECKING:
    import ssl

    from advisor.probe.address import Endpoint
    from advisor.probe.sample.traffic import Peer

MAX_ANSWER_BYTES = 64 * 1024**2
REQUEST_TIMEOUT_S = 10.0
OPENING_AT_ONCE = 64
HTTP_ERROR = 400


def request_bytes(endpoint: Endpoint) -> bytes:
    """The GET that every connection sends."""
    return (
        f"GET {endpoint.path} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        f"User-Agent: advisor/{__version__}\r\nAccept: */*\r\n\r\n"
    ).encode("ascii")


@dataclass
class Tally:
    """What the engine has seen since it was made; latencies in seconds, of good answers."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    errors: int = 0
    sent: int = 0
    last_error: str | None = None

    def failed(self, reason: str) -> None:
        """Count a request that got no good answer."""
        self.errors += 1
        self.last_error = reason


class _Client(asyncio.Protocol):
    """One connection: send, parse, note, send again while the engine runs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transport: asyncio.Transport | None = None
        self.peer: Peer | None = None
        self.sent_at = 0.0
        self.received = 0
        self.bad_status = 0
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        address, port = transport.get_extra_info("sockname")[:2]
        self.peer = (address, port)
        self.engine.peers.add(self.peer)
        self.engine.open.add(self)
        self.send()

    def send(self) -> None:
        engine = self.engine
        if engine.may_send() and self.transport and not self.transport.is_closing():
            self.received = 0
            self.bad_status = 0
            engine.tally.sent += 1
            self.sent_at = time.perf_counter()
            self.transport.write(engine.request)
        else:
            self.sent_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > MAX_ANSWER_BYTES:
            self.fail(f"an answer longer than {MAX_ANSWER_BYTES // 1024**2} MiB")
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"no HTTP: {error}")

    # httptools' callbacks

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        self.bad_status = status if status >= HTTP_ERROR else 0

    def on_message_complete(self) -> None:
        if not self.sent_at or self.parser.get_status_code() < 200:
            return
        if self.bad_status:
            self.engine.tally.failed(f"status {self.bad_status}")
        else:
            self.engine.tally.latencies.append(time.perf_counter() - self.sent_at)
        self.sent_at = 0.0
        if self.parser.should_keep_alive():
            # A parser is done with one answer and takes up the next by itself.
            self.send()
        elif self.transport:
            self.transport.close()

    def fail(self, reason: str) -> None:
        if self.sent_at:
            self.engine.tally.failed(reason)
            self.sent_at = 0.0
        if self.transport:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sent_at:
            # An answer without a length ends with its connection: that is a good end.
            ended = self.received and not exc and not self.bad_status
            if ended and self.parser.get_status_code():
                self.engine.tally.latencies.append(time.perf_counter() - self.sent_at)
            else:
                self.engine.tally.failed("connection closed before the answer")
            self.sent_at = 0.0
        self.engine.lost(self)


class Engine:
    """Keeps `connections` requests in flight at one endpoint until it is told otherwise."""

    def __init__(self, endpoint: Endpoint, *, tls: ssl.SSLContext | None = None) -> None:
        self.endpoint = endpoint
        self.request = request_bytes(endpoint)
        self.tls = tls
        self.tally = Tally()
        self.peers: set[Peer] = set()
        self.open: set[_Client] = set()
        self.wanted = 0
        self._opening = 0
        self._pause_until_told = True
        self._tasks: set[asyncio.Task[None]] = set()

    def may_send(self) -> bool:
        """Whether a connection may send its next request."""
        return not self._pause_until_told

    def run_at(self, connections: int) -> None:
        """Keep so many connections busy from now on; surplus ones, idle by `drain`, are closed."""
        self.wanted = connections
        for client in list(self.open)[connections:]:
            self.open.discard(client)
            if client.transport:
                client.transport.close()
        self._pause_until_told = False
        for client in list(self.open):
            if not client.sent_at:
                client.send()
        self._fill()

    def _fill(self) -> None:
        while (
            self.may_send()
            and len(self.open) + self._opening < self.wanted
            and self._opening < OPENING_AT_ONCE
        ):
            self._opening += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await asyncio.get_running_loop().create_connection(
                    lambda: _Client(self),
                    self.endpoint.address,
                    self.endpoint.port,
                    ssl=self.tls,
                    server_hostname=self.endpoint.host if self.tls else None,
                )
        except (OSError, TimeoutError) as error:
            self.tally.failed(f"cannot connect: {error or 'timed out'}")
            await asyncio.sleep(0.05)  # a server that refuses is not hammered
        finally:
            self._opening -= 1
        self._fill()

    def lost(self, client: _Client) -> None:
        """A connection has ended; another takes its place while the load runs."""
        self.open.discard(client)
        if self.may_send():
            self._fill()

    def expire(self) -> None:
        """Give up on requests older than the time-out; called between windows."""
        limit = time.perf_counter() - REQUEST_TIMEOUT_S
        for client in list(self.open):
            if client.sent_at and client.sent_at < limit:
                client.fail(f"no answer within {REQUEST_TIMEOUT_S:g} s")

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered."""
        return sum(1 for client in self.open if client.sent_at)

    async def drain(self, *, patience_s: float = 10.0) -> None:
        """Send nothing more and wait for what is in flight: a server works on it regardless."""
        self._pause_until_told = True
        deadline = time.perf_counter() + patience_s
        # An event instead of a look every 2 ms would cost every request.
        while (self.in_flight or self._opening) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def close(self) -> None:
        """End every connection at once."""
        self._pause_until_told = True
        for task in self._tasks:
            task.cancel()
        for client in list(self.open):
            client.sent_at = 0.0  # given up by us: no error of the server's
            if client.transport:
                client.transport.abort()
