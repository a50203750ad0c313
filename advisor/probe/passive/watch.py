"""The watch itself: clocks at the edges of windows, requests in between. Effects only."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter as Samples
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import AdvisorError, TooLittleEvidence
from advisor.host import limits, servers
from advisor.probe.analysis.observation import Load, window
from advisor.probe.passive.seen import Seen
from advisor.probe.passive.tally import Count, Tally
from advisor.probe.sample import clocks, memory
from advisor.probe.sample.waits import Sampler, Waits
from advisor.quantities import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server
    from advisor.probe.analysis.observation import Window
    from advisor.probe.passive.seen import Room
    from advisor.probe.passive.sources import Counter

# Whole seconds, because many logs know no finer time; longer ones where there would be too many.
WINDOW_S = 1.0
MOST_WINDOWS = 720
LOOK_S = 0.5
REPORT_S = 5.0
LATE_S = 0.5
MOST_LATE_S = 10.0
SAMPLED_WORKERS = 8
TIMED = 0.99


@dataclass
class Watch:
    """Watches a server (or none that is known) while `counter` is open."""

    server: Server | None
    counter: Counter
    room: Room
    progress: Callable[[str], None]
    tally: Tally = field(default_factory=lambda: Tally(0.0, WINDOW_S, []))
    # A window without a reading is one in which processes came or went.
    windows: list[Window | None] = field(default_factory=list)
    waits: list[Waits] = field(default_factory=list)
    grown: list[memory.MemorySample] = field(default_factory=list)
    throttled_s: float = 0.0
    changed: str | None = None

    async def run(self, seconds: float) -> None:
        """Window after window, aligned with the whole seconds of the wall clock."""
        length = float(max(WINDOW_S, math.ceil(seconds / MOST_WINDOWS)))
        count = max(1, round(seconds / length))
        start = float(math.ceil(time.time() + 0.05))
        self.tally = Tally(start, length, [Count() for _ in range(count)])
        await self._until(start)
        cgroups = _quotas(self.server)
        throttled = clocks.throttled_s(cgroups)
        await self.counter.window_ends(self.tally, -1)
        before, told = clocks.read(self._pids()), start
        for index in range(count):
            with Sampler(self._workers()[:SAMPLED_WORKERS]) as sampler:
                await self._until(start + (index + 1) * length)
            after = clocks.read(self._pids())
            await self.counter.window_ends(self.tally, index)
            self.waits.append(sampler.result())
            self._weigh()
            report = time.time() - told >= REPORT_S - length / 2
            if self._unchanged(after, look=report):
                self.windows.append(window(before, after, (), 0))
                before = after
            else:
                self.windows.append(None)
                before = clocks.read(self._pids())
                if self.server and not before.server:
                    break
            if report:
                told = time.time()
                self._tell()
        self.throttled_s = clocks.throttled_s(cgroups) - throttled
        await self._late_lines()

    async def _until(self, moment: float) -> None:
        """Wait for an epoch second, reading what comes by."""
        while (left := moment - time.time()) > 0:
            await asyncio.sleep(min(left, LOOK_S))
            if left > LOOK_S:
                await self.counter.look(self.tally)

    async def _late_lines(self) -> None:
        """Requests that ended in the windows may still be on their way into the log."""
        patience = min(MOST_LATE_S, LATE_S + self.tally.lag_s)
        deadline = time.time() + patience
        end = self.tally.start + self.tally.length * len(self.tally.windows)
        while time.time() < deadline and (self.tally.newest or 0.0) < end:
            await asyncio.sleep(0.1)
            await self.counter.look(self.tally)

    def _pids(self) -> tuple[int, ...]:
        if self.server is None:
            return ()
        return tuple(dict.fromkeys([self.server.pid, *self._workers()]))

    def _workers(self) -> tuple[int, ...]:
        return tuple(worker.pid for worker in self.server.workers) if self.server else ()

    def _unchanged(self, now: clocks.Reading, *, look: bool) -> bool:
        """Whether all processes still live, and with `look` no other came; else the new ones."""
        pids = self._pids()
        gone = [pid for pid in pids if pid not in now.server]
        if not gone and not look:
            return True
        self.server = refreshed(self.server)
        if not gone and self._pids() == pids:
            return True
        what = f"pid {gone[0]} of the server ended" if gone else "the server's workers changed"
        self.grown = []  # other processes hold other memory
        self.changed = self.changed or f"{what} under way"
        return False

    def _weigh(self) -> None:
        workers = self._workers()
        taken = memory.sample(workers, requests=self.tally.requests, connections=0)
        if workers and taken:
            self.grown.append(taken)

    def _tell(self) -> None:
        read = [w for w in self.windows if w]
        elapsed = len(self.windows) * self.tally.length
        used = sum(w.server_cpu_s for w in read)
        cpu = duration(used / self.tally.requests) if self.server and self.tally.requests else "?"
        self.progress(
            f"{elapsed:>6.0f} s: {self.tally.requests / elapsed:,.1f} requests/s, "
            f"{cpu} CPU a request, {self.tally.errors} errors"
        )

    def seen(self) -> Seen:
        """What was seen, in the windows that were read in full.

        Raises `TooLittleEvidence` where that is nothing.
        """
        source = self.counter.source
        told = self.tally.told()
        kept = [
            (replace(w, completed=c.good, errors=c.errors, latency_sum=c.upstream_s), waits)
            for w, c, waits in zip(
                self.windows, self.tally.windows[:told], self.waits, strict=False
            )
            if w is not None
        ]
        windows = tuple(w for w, _ in kept)
        requests = sum(w.completed + w.errors for w in windows)
        if not requests:
            raise TooLittleEvidence(
                f"{source.where}: no request of the app came by in {len(self.windows)} windows of "
                f"{self.tally.length:g} s",
                remedy="Is it this app's log, and unbuffered? Observe for longer, or at peak.",
            )
        waits = [each for _, each in kept]
        entries = tuple(self.tally.kept)
        return Seen(
            server=self.server,
            load=Load(
                connections=0,
                windows=windows,
                latencies=(),
                waits=_joined(waits),
                throttled_s=self.throttled_s,
            ),
            room=self.room,
            source=source,
            entries=entries,
            blocked_s=_blocked_s(waits, windows, len(self._workers())),
            timed=sum(c.timed for c in self.tally.windows) >= TIMED * self.tally.requests,
            by_proxy=self.tally.by_proxy,
            unread=self.tally.unread,
            changed=self.changed,
            lost=self.counter.lost,
            grown=tuple(self.grown),
        )


def _blocked_s(waits: list[Waits], windows: tuple[Window, ...], workers: int) -> list[float] | None:
    """Seconds of each window that event loops waited outside their selector, over all workers."""
    if not all(each.readable for each in waits):
        return None
    blocked = []
    for each, during in zip(waits, windows, strict=True):
        counts = [each.blocked(pid) for pid in each.by_pid]
        shares = sum(waited / samples for waited, samples in counts if samples)
        # Of many workers only some are sampled, and stand for the rest.
        blocked.append(shares * max(1.0, workers / len(counts)) * during.seconds)
    return blocked


def _joined(waits: list[Waits]) -> Waits:
    by_pid: dict[int, Samples[str]] = {}
    for each in waits:
        for pid, seen in each.by_pid.items():
            by_pid.setdefault(pid, Samples()).update(seen)
    return Waits(by_pid)


def _quotas(server: Server | None) -> list[Path]:
    cpu, _ = limits.cpu(server.pid if server else None)
    return [Path(limit.source).parent for limit in cpu.limits if limit.kind == "quota"]


def refreshed(server: Server | None) -> Server | None:
    """The server as it is now; as it was, where it has ended."""
    if server is None:
        return None
    try:
        return servers.server_of(server.pid)
    except AdvisorError:
        return server
