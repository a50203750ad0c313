"""The load engine: HTTP/1.1 GETs over kept-alive connections, on one uvloop.

Closed loop: so many connections, each with one request in flight. Open loop: requests at given
moments, whatever the server makes of them; a response then counts from the moment that was
planned, so that a server that stalls cannot hide it (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from advisor.probe.load.connection import Connection
from advisor.probe.load.requests import Mix
from advisor.probe.load.tally import Caps, Tally

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from advisor.probe.address import Endpoint
    from advisor.probe.sample.traffic import Peer

OPENING_AT_ONCE = 64


class Engine:
    """Loads one endpoint; rests until it is told what to do.

    `routes` are paths with their weights; by default the endpoint's own path.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        routes: Mapping[str, float] | None = None,
        tls: ssl.SSLContext | None = None,
        caps: Caps | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.mix = Mix(endpoint, routes or {endpoint.path: 1.0})
        self.tls = tls
        self.caps = caps or Caps()
        self.tally = Tally()
        self.peers: set[Peer] = set()
        self.open: set[Connection] = set()
        self.wanted = 0
        self._state = "resting"
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._began, self._sent_before = 0.0, 0

    # --- what it is told -----------------------------------------------------------------

    def run_at(self, connections: int) -> None:
        """Closed loop from now on; surplus connections, idle by `drain`, are closed."""
        self._start("closed", min(connections, self.caps.connections))
        for connection in list(self.open)[self.wanted :]:
            self._close(connection)
        for connection in list(self.open):
            if not connection.sent_at:
                self.ready(connection)
        self._fill()

    def open_loop(self, connections: int) -> None:
        """From now on send what `arrive` says, over at most so many connections."""
        self._start("open", min(connections, self.caps.connections))
        self._idle.extend(c for c in self.open if not c.sent_at)

    def arrive(self, planned: float) -> None:
        """A request falls due: send it now, or as soon as a connection is there."""
        self._due.append(planned)
        while self._due and self._idle:
            connection = self._idle.popleft()
            if connection in self.open:
                self._send(connection, self._due.popleft())
        if len(self._due) > self._opening:
            self._open_one()

    def rest(self) -> None:
        """Send nothing more; what is in flight is still answered and counted."""
        self._state = "resting"
        for _ in self._due:
            self.tally.failed("not sent: every connection was taken")
        self._due.clear()
        self._idle.clear()

    async def drain(self, *, patience_s: float = 10.0) -> None:
        """Rest, and wait for what is in flight: a server works on it regardless."""
        deadline = time.perf_counter() + patience_s
        # An event instead of a look every 2 ms would cost every request.
        while self._due and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)  # what fell due before the end is still sent
        self.rest()
        while (self.in_flight or self._opening) and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)

    def hang_up(self) -> None:
        """Close every idle connection: the next load's fall on the workers anew."""
        for connection in list(self.open):
            if not connection.sent_at:
                self._close(connection)

    def expire(self) -> None:
        """Give up on requests older than the time-out; called between windows."""
        limit = time.perf_counter() - self.caps.request_s
        for connection in list(self.open):
            if connection.sent_at and connection.sent_at < limit:
                connection.fail(f"no answer within {self.caps.request_s:g} s")

    def close(self) -> None:
        """End every connection at once."""
        self._state = "resting"
        for task in self._tasks:
            task.cancel()
        for connection in list(self.open):
            connection.sent_at = 0.0  # given up by us: no error of the server's
            if connection.transport:
                connection.transport.abort()

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered."""
        return sum(1 for connection in self.open if connection.sent_at)

    @property
    def spent(self) -> bool:
        """Whether the bytes that it may move are used up."""
        return self.tally.bytes_in + self.tally.bytes_out >= self.caps.total_bytes

    # --- what its connections tell it ----------------------------------------------------

    def opened(self, connection: Connection, name: object) -> None:
        """A connection stands; `name` is its own end."""
        if isinstance(name, tuple):  # a unix socket's client has none
            self.peers.add((name[0], name[1]))
        self.open.add(connection)
        self.ready(connection)

    def ready(self, connection: Connection) -> None:
        """A connection can take a request."""
        if self._state == "closed":
            self._send(connection, None)
        elif self._state == "open":
            if self._due:
                self._send(connection, self._due.popleft())
            else:
                self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """A connection has ended; another takes its place while the load runs."""
        self.open.discard(connection)
        if self._state == "closed":
            self._fill()
        elif self._state == "open" and len(self._due) > self._opening:
            self._open_one()

    # --- within ----------------------------------------------------------------------------

    def _start(self, state: str, connections: int) -> None:
        self._idle.clear()
        self.wanted = connections
        self._state = state
        self._began, self._sent_before = time.perf_counter(), self.tally.sent

    def _send(self, connection: Connection, planned: float | None) -> None:
        now = time.perf_counter()
        if self.spent:
            self.rest()
            return
        most = 1000 + self.caps.requests_per_s * (now - self._began)
        if planned is None and self.tally.sent - self._sent_before > most:
            asyncio.get_running_loop().call_later(0.01, self._again, connection)
            return
        route = self.mix.next()
        connection.send(
            route, self.mix.requests[route], since=now if planned is None else planned, now=now
        )

    def _again(self, connection: Connection) -> None:
        if connection in self.open and not connection.sent_at:
            self.ready(connection)

    def _close(self, connection: Connection) -> None:
        self.open.discard(connection)
        if connection.transport:
            connection.transport.close()

    def _fill(self) -> None:
        while (
            self._state == "closed"
            and len(self.open) + self._opening < self.wanted
            and self._opening < OPENING_AT_ONCE
        ):
            self._connect_soon()

    def _open_one(self) -> None:
        if len(self.open) + self._opening < self.wanted and self._opening < OPENING_AT_ONCE:
            self._connect_soon()

    def _connect_soon(self) -> None:
        self._opening += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        loop, to = asyncio.get_running_loop(), self.endpoint
        name = to.host if self.tls else None
        try:
            async with asyncio.timeout(self.caps.request_s):
                if to.socket:
                    await loop.create_unix_connection(
                        lambda: Connection(self), to.socket, ssl=self.tls, server_hostname=name
                    )
                else:
                    await loop.create_connection(
                        lambda: Connection(self),
                        to.address,
                        to.port,
                        ssl=self.tls,
                        server_hostname=name,
                    )
        except (OSError, TimeoutError) as error:
            self.tally.failed(f"cannot connect: {str(error) or 'timed out'}")
            if self._due:  # the request that it was opened for
                self._due.popleft()
            await asyncio.sleep(0.05)  # a server that refuses is not hammered
        finally:
            self._opening -= 1
        self._fill()
