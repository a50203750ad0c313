"""Does one request hold up another on the same worker? A canary behind a neighbour.

Two connections to one worker: the second sends a GET by itself, then the same GET right behind
one of the first's, and so on by turns. A loop that is blocked serves the two one after the
other, a loop that awaits serves both at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import httptools

from advisor.host import sockets
from advisor.probe.sample.traffic import established

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable

    from advisor.probe.address import Endpoint
    from advisor.probe.sample.traffic import Peer

TOTAL_S = 2.5
MAX_CONNECTIONS = 16
ACCEPT_S = 0.25  # a worker that is free accepts within milliseconds
MAX_ANSWER_BYTES = 8 * 1024**2

ROUNDS = 15
FEWEST = 2
# The canary follows its neighbour by a tenth of a lone request, where a timer can do that: when
# both are read at once, a loop may serve the neighbour's next one first.
LEAD = 0.1
FINEST_TIMER_S = 0.001
SERIALISED = 1.5


@dataclass(frozen=True)
class Canary:
    """Medians of one GET, alone and beside a neighbour on the same worker `pid`, in seconds.

    `samples` were taken beside the neighbour.
    """

    pid: int
    alone_s: float
    beside_s: float
    samples: int

    @property
    def held_s(self) -> float:
        """How long the neighbour's request held the canary's up.

        Right behind it, the canary waits for as long as its neighbour has the loop, and then
        takes its own time: beside = held + alone, and held at most a lone request's time. What
        the neighbour is ahead, at most a tenth, is not counted.
        """
        return min(self.alone_s, max(0.0, self.beside_s - self.alone_s))

    @property
    def serialised(self) -> bool:
        """Whether a request holds up others for more than half of its time.

        The canary takes about twice as long behind a neighbour that holds the loop throughout,
        and once as long, plus the neighbour's own CPU, behind one that awaits: 1.5 lies half
        way, further from both than noise moves a median.
        """
        return self.beside_s >= SERIALISED * self.alone_s


def owner(peer: Peer, server_port: int, pids: Iterable[int]) -> int | None:
    """Which of the processes holds the server's end of our connection from `peer`.

    The kernel names that end's inode (sock_diag(7)), /proc/PID/fd who holds it. None where
    nobody has accepted it yet, where descriptors may not be read, or where the server's end is
    on another host or in another network namespace.
    """
    host, port = peer
    try:
        ours = (str(ipaddress.ip_address(host.partition("%")[0])), port)
        inodes = frozenset(
            inode for inode, (_, other) in established(server_port).items() if other == ours
        )
    except (OSError, ValueError):
        return None
    return next(iter(sockets.holders(pids, inodes)), None)


async def canary(
    endpoint: Endpoint,
    pids: Iterable[int],
    request: bytes,
    tls: ssl.SSLContext | None = None,
    *,
    ours: set[Peer],
) -> Canary | None:
    """Send `request` on two connections of one worker, for at most 2.5 s; None if that fails.

    `ours` gets the address of each connection as it is made, so that a watch for others'
    traffic knows them. Every connection is closed at the end. None where no two fall on one
    worker, its descriptors are hidden, or the server closes after each answer (a sync worker).
    """
    if endpoint.socket is not None:  # a unix socket's two ends are not told apart by address
        return None
    lines: list[_Line] = []
    deadline = time.perf_counter() + TOTAL_S
    try:
        async with asyncio.timeout(TOTAL_S):
            opening = _Opening(endpoint, tuple(pids), tls, ours, lines)
            pair = await opening.pair()
            if pair is None:
                return None
            return await _compare(*pair, request, deadline)
    except (OSError, TimeoutError, _Useless, httptools.HttpParserError):
        return None
    finally:
        for line in lines:
            line.close()


class _Useless(Exception):
    """An answer that cannot be compared: an error, too long, or the connection's last."""


@dataclass
class _Line:
    """One kept-alive connection: a request, its answer, the seconds between."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pid: int | None = None
    parser: httptools.HttpResponseParser = field(init=False)
    answered: bool = False
    usable: bool = False

    async def get(self, request: bytes) -> float:
        """Send and wait for the whole answer; raises `_Useless` where there is none to use."""
        self.parser = httptools.HttpResponseParser(self)
        self.answered, received = False, 0
        began = time.perf_counter()
        self.writer.write(request)
        while not self.answered:
            data = await self.reader.read(1 << 16)
            received += len(data)
            if not data or received > MAX_ANSWER_BYTES:
                raise _Useless
            self.parser.feed_data(data)
        took = time.perf_counter() - began
        if not self.usable:
            raise _Useless
        return took

    def on_message_complete(self) -> None:
        """The parser has seen the end of the answer."""
        self.answered = True
        good = 200 <= self.parser.get_status_code() < 400
        self.usable = good and self.parser.should_keep_alive()

    def close(self) -> None:
        """End the connection at once."""
        self.writer.transport.abort()


@dataclass
class _Opening:
    """Opens connections until two are held by one worker."""

    endpoint: Endpoint
    pids: tuple[int, ...]
    tls: ssl.SSLContext | None
    ours: set[Peer]
    lines: list[_Line]

    async def pair(self) -> tuple[_Line, _Line] | None:
        """Two connections of one worker; None if no two of sixteen are."""
        for _ in range(MAX_CONNECTIONS):
            line = await self._open()
            line.pid = await self._accepted(line)
            if line.pid is None:  # hidden, or a worker that is busy with the last one
                return None
            for other in self.lines[:-1]:
                if other.pid == line.pid:
                    return other, line
        return None

    async def _open(self) -> _Line:
        endpoint = self.endpoint
        reader, writer = await asyncio.open_connection(
            endpoint.address,
            endpoint.port,
            ssl=self.tls,
            server_hostname=endpoint.host if self.tls else None,
        )
        line = _Line(reader, writer)
        self.lines.append(line)
        self.ours.add(self._peer(line))
        return line

    async def _accepted(self, line: _Line) -> int | None:
        """The worker that takes the connection, as soon as it has."""
        deadline = time.perf_counter() + ACCEPT_S
        while time.perf_counter() < deadline:
            if pid := owner(self._peer(line), self.endpoint.port, self.pids):
                return pid
            await asyncio.sleep(0.01)
        return None

    @staticmethod
    def _peer(line: _Line) -> Peer:
        address, port = line.writer.get_extra_info("sockname")[:2]
        return address, port


async def _compare(first: _Line, second: _Line, request: bytes, deadline: float) -> Canary | None:
    """The GET on `second`, by turns with the other idle and right behind one of the other's.

    By turns, for a host's speed may double within a second: one time after the other would
    compare two hosts.
    """
    await second.get(request)  # the first on a connection costs more
    alone: list[float] = []
    beside: list[float] = []
    # Room for one alone, one held up, and a pause.
    while len(beside) < ROUNDS and time.perf_counter() + 4 * _usual(alone) < deadline:
        alone.append(await second.get(request))
        usual = _usual(alone)
        async with _in_flight(first, request):
            if LEAD * usual >= FINEST_TIMER_S:
                await asyncio.sleep(LEAD * usual)
            beside.append(await second.get(request))
        await asyncio.sleep(usual / 4)
    if len(beside) < FEWEST or second.pid is None:
        return None
    return Canary(second.pid, _usual(alone), median(beside), len(beside))


def _usual(times: list[float]) -> float:
    return median(times) if times else 0.0


@asynccontextmanager
async def _in_flight(line: _Line, request: bytes) -> AsyncIterator[None]:
    """A request that has been sent when the body begins, and is answered before this ends."""
    task = asyncio.get_running_loop().create_task(line.get(request))
    try:
        await asyncio.sleep(0)  # the task writes, then waits for its answer
        yield
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, OSError, _Useless, httptools.HttpParserError):
            await task
