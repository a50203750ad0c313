"""One step of load: windows at a number of connections, watched; the parts of the procedure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.probe.analysis import statistics
from advisor.probe.analysis.observation import Load, Window, window
from advisor.probe.analysis.verdict import MAX_ERRORS
from advisor.probe.load.arrivals import Arrivals
from advisor.probe.sample import carried, clocks, memory
from advisor.probe.sample.waits import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Server
    from advisor.probe.load.engine import Engine
    from advisor.probe.sample.traffic import Watch

# A step ends once less than this is left.
LAST_S = 2.0
TOTAL_S = 28.0  # from the first question on; the clean-up takes the rest of the 30 s
SAMPLED_WORKERS = 8
FEW_ERRORS = 3
REPORT_S = 3.0
UNSEEN = "whether others use the app cannot be told here, so no knee was looked for"


@dataclass
class Surroundings:
    """What the procedure needs to know about the server and its host."""

    server: Server | None
    pids: tuple[int, ...]
    cores: float
    host_cores: int
    shares_limit: bool
    cgroups: tuple[Path, ...]
    count_downstream: Callable[[], int | None]
    client_overhead_s: float = 0.0


@dataclass
class Stepper:
    """Loads and reads; everything has to end `TOTAL_S` after `started`.

    `others` is why no more than short bursts may be sent, once there is a reason, unless the
    user said to `saturate`. `progress` gets a line a step, and one every few seconds of a long
    one. `held` and `stored` are what the workers had in memory and moved to disk, window by
    window.
    """

    engine: Engine
    watch: Watch | None
    around: Surroundings
    progress: Callable[[str], None]
    started: float
    saturate: bool = False
    others: str | None = None
    idle: list[Window] = field(default_factory=list)
    held: list[memory.MemorySample] = field(default_factory=list)
    stored: list[carried.DiskSample] = field(default_factory=list)

    # --- may it go on? ---------------------------------------------------------------------

    def look(self, *, ended: bool) -> None:
        """Look for others' traffic; what is found stays in `others`."""
        if self.watch is None:
            self.others = self.others or UNSEEN
            return
        try:
            seen = self.watch.look(ended=ended)
        except OSError:
            self.others = self.others or UNSEEN
            return
        if seen and not self.others:
            self.others = f"others use the app ({seen}), so no knee was looked for"

    def alone(self) -> bool:
        """Whether the app may be loaded in full."""
        return self.saturate or self.others is None

    def left(self) -> float:
        """Seconds until everything has to have ended."""
        return TOTAL_S - (time.perf_counter() - self.started)

    # --- windows and steps -----------------------------------------------------------------

    async def window(self, seconds: float, *, watched: bool = True) -> Window:
        """Let the load go on for so long; ends early when others come, if that is watched for."""
        tally = self.engine.tally
        seen, errors, moved = len(tally.latencies), tally.errors, (tally.bytes_in, tally.bytes_out)
        before = clocks.read(self.around.pids)
        end = before.at + seconds
        while (left := end - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, 0.1))
            self.engine.expire()
            if watched:
                self.look(ended=False)
                if not self.alone():
                    break
        after = clocks.read(self.around.pids)
        return window(
            before,
            after,
            tally.latencies[seen:],
            tally.errors - errors,
            moved=(tally.bytes_in - moved[0], tally.bytes_out - moved[1]),
        )

    async def rest(self, seconds: float = 0.25) -> None:
        """An idle window: what the server burns without a request of ours."""
        self.idle.append(await self.window(seconds))

    async def drain(self) -> None:
        """Wait for what is in flight: a server works on it whether or not anybody waits."""
        await self.engine.drain(patience_s=max(0.5, self.left()))

    async def step(
        self, connections: int, *, windows: int, seconds: float, ramp_s: float, sample: bool = False
    ) -> Load:
        """Closed loop at so many connections: ramp up, then windows; drained at the end."""
        self.engine.run_at(connections)
        await self.window(ramp_s)
        load = await self._windows(connections, windows, seconds, sample=sample)
        await self.drain()
        self._tell(f"{connections:>5} connections", load)
        return load

    async def arrivals(
        self, rate_rps: float, connections: int, *, windows: int, seconds: float
    ) -> tuple[Load, Arrivals]:
        """Open loop at a rate, over at most so many connections; drained at the end."""
        self.engine.open_loop(connections)
        with Arrivals(self.engine, rate_rps) as arrivals:
            await self.window(min(0.5, seconds))
            arrivals.offered.requests = arrivals.offered.late = 0
            load = await self._windows(connections, windows, seconds, sample=False)
        await self.drain()
        self._tell(f"{rate_rps:>7,.0f} a second", load)
        return load, arrivals

    async def _windows(
        self, connections: int, windows: int, seconds: float, *, sample: bool
    ) -> Load:
        tally = self.engine.tally
        first, errors = len(tally.latencies), tally.errors
        throttled = clocks.throttled_s(self.around.cgroups)
        sampled = self._sampled() if sample else ()
        seen: list[Window] = []
        # An app that connects anew for each request holds fewer for moments: the most counts.
        held: list[int] = []
        told = time.perf_counter()
        # In threads: reading a large process's smaps_rollup takes ten milliseconds and more, and
        # answers that come meanwhile would be taken for late.
        await asyncio.to_thread(self._weigh, connections)
        with Sampler(sampled) as sampler:
            for _ in range(windows):
                seen.append(await self.window(seconds))
                await asyncio.to_thread(self._weigh, connections)
                downstream = await asyncio.to_thread(self.around.count_downstream)
                if downstream is not None:
                    held.append(downstream)
                failed, done = tally.errors - errors, len(tally.latencies) - first
                harmed = failed >= FEW_ERRORS and failed > MAX_ERRORS * (failed + done)
                if self.left() < LAST_S or not self.alone() or harmed or self.engine.spent:
                    break
                if time.perf_counter() - told > REPORT_S:
                    told = time.perf_counter()
                    self.progress(f"        ... {done:,} answers so far, {failed} errors")
        return Load(
            connections=connections,
            windows=tuple(seen),
            latencies=tuple(tally.latencies[first:]),
            routes=tuple(tally.routes[first:]),
            waits=sampler.result() if sampled else None,
            downstream=max(held, default=None),
            throttled_s=clocks.throttled_s(self.around.cgroups) - throttled,
        )

    def _weigh(self, connections: int) -> None:
        workers, requests = self._workers(), len(self.engine.tally.latencies)
        if not workers:
            return
        if held := memory.sample(workers, requests=requests, connections=connections):
            self.held.append(held)
        self.stored.append(carried.sample(workers, requests=requests))

    def _workers(self) -> tuple[int, ...]:
        server = self.around.server
        return tuple(worker.pid for worker in server.workers) if server else ()

    def _sampled(self) -> tuple[int, ...]:
        """Some of the workers: sampling hundreds would be a load itself."""
        return self._workers()[:SAMPLED_WORKERS]

    def _tell(self, what: str, load: Load) -> None:
        p50, p99 = (statistics.quantile(load.latencies, p) for p in (0.5, 0.99))
        self.progress(
            f"{what}: {load.rps:>9,.1f} requests/s, p50 {_ms(p50)}, p99 {_ms(p99)}, "
            f"server {load.server_cores:.2f} cores, generator {load.client_cores:.2f}"
        )


def _ms(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds * 1e3:.1f} ms"
