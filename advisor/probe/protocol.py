"""The procedure of a probe: watch, warm up, demand on one and two connections, the knee.

At most 30 s on a live app. Between steps the load is drained, because a server works on what
it was sent whether or not anybody waits for the answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.probe.analysis.observation import Load, Observation, Window, window
from advisor.probe.analysis.verdict import MAX_ERRORS, SATURATED
from advisor.probe.sample import clocks
from advisor.probe.sample.waits import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Server
    from advisor.probe.load.engine import Engine
    from advisor.probe.sample.traffic import Watch

TOTAL_S = 28.0  # from the first question on; the clean-up takes the rest of the 30 s
WATCH_S = 2.0
MAX_CONNECTIONS = 1024
GROWTH = 1.05
HARM = 10.0
SAMPLED_WORKERS = 8
BURST_S, PAUSE_S = 0.08, 0.72  # a tenth of the time
BURSTS = 12
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
    saturate: bool = False


@dataclass
class Protocol:
    """One run, which has to end `TOTAL_S` after `started`. `progress` gets a line a step."""

    engine: Engine
    watch: Watch | None
    around: Surroundings
    progress: Callable[[str], None]
    started: float
    others: str | None = None
    steps: list[Load] = field(default_factory=list)
    idle: list[Window] = field(default_factory=list)
    stopped: str = ""

    async def run(self) -> Observation:
        """The whole protocol, or paced bursts where others use the app."""
        await self._watch_others()
        knee, plateau = None, False
        if self._alone():
            knee, plateau = await self._measure()
        else:
            await self._bursts()
        return self._observation(knee, plateau)

    async def _measure(self) -> tuple[Load | None, bool]:
        alone = await self._warm_up()
        most = "up to 1,024 connections" if self._alone() else "no more than two connections"
        self.progress(
            f"Sending GET {self.engine.endpoint.path} on one connection, then two, then doubling "
            f"({most}) until the rate stops growing; at most {self._left():.0f} s."
        )
        for connections in (1, 2):
            self.idle.append(await self._idle())
            await self._step(connections, windows=6, rps=1 / alone, sample=True)
            await self._drain()
        return await self._find_knee()

    async def _find_knee(self) -> tuple[Load | None, bool]:
        """Double the connections until the rate stops growing, then measure there again."""
        first = self.steps[0]
        connections, flat, harmed = 4, 0, False
        while self._left() > 4 and connections <= MAX_CONNECTIONS and self._alone():
            best = max(step.rps for step in self.steps)
            step = await self._step(connections, windows=4, rps=best)
            await self._drain()
            harmed = step.error_ratio > MAX_ERRORS
            if harmed:
                self.stopped = f"{step.error_ratio:.0%} errors at {connections} connections"
                break
            flat = flat + 1 if step.rps < GROWTH * best else 0
            slow = step.response_s > HARM * max(first.response_s, 0.001)
            full = step.server_cores >= SATURATED * self._most_cores(step)
            if flat >= 2 or (flat == 1 and (slow or full)):
                self.stopped = "the rate stopped growing"
                break
            connections *= 2
        else:
            self.stopped = (
                f"the most it sends is {MAX_CONNECTIONS} connections"
                if connections > MAX_CONNECTIONS
                else self.others or f"its time was up; a lone request takes {_ms(first.response_s)}"
            )
        if not self._alone():
            return None, False
        if harmed or self._left() < 3:
            return self.steps[-1], flat > 0 and not harmed
        # Once more where the rate no longer grows, with the same connections: fresh ones could
        # fall on other workers, and be another measurement.
        last = self.steps[-1]
        again = await self._step(last.connections, windows=8, rps=last.rps, sample=True, keep=False)
        await self._drain()
        self.steps[-1] = again.joined_to(last)
        return self.steps[-1], flat > 0

    # --- the parts -------------------------------------------------------------------------

    async def _watch_others(self) -> None:
        self.progress(f"Watching for others' traffic ({WATCH_S:g} s).")
        end = time.perf_counter() + WATCH_S
        while time.perf_counter() < end and not self.others:
            self._look(ended=True)
            await asyncio.sleep(0.02)

    def _look(self, *, ended: bool) -> None:
        if self.watch is None:
            self.others = UNSEEN
            return
        try:
            seen = self.watch.look(ended=ended)
        except OSError:
            self.others = UNSEEN
            return
        if seen:
            self.others = f"others use the app ({seen}), so no knee was looked for"

    def _alone(self) -> bool:
        return self.around.saturate or self.others is None

    def _left(self) -> float:
        return TOTAL_S - (time.perf_counter() - self.started)

    def _most_cores(self, step: Load) -> float:
        """What the server could use at most: what is left, and one core a process (the GIL)."""
        left = self._observation(None, plateau=False).cpu_left(step)
        server = self.around.server
        return min(left, len(server.workers)) if server and server.workers else left

    async def _warm_up(self) -> float:
        """Load one connection until two windows agree within 10 %; the response time in s."""
        self.progress("Warming up.")
        self.engine.run_at(1)
        previous, end = 0.0, time.perf_counter() + 4
        response = 0.0
        while time.perf_counter() < end and self._alone():
            seen = await self._window(max(0.4, min(2.0, 4 * response)))
            rate = seen.completed / seen.seconds
            response = seen.latency_sum / seen.completed if seen.completed else 1.0
            if previous and abs(rate - previous) < 0.1 * previous:
                break
            previous = rate
        await self._drain()
        return response

    async def _drain(self) -> None:
        await self.engine.drain(patience_s=max(0.5, self._left()))

    async def _idle(self) -> Window:
        return await self._window(0.25)

    async def _window(self, seconds: float) -> Window:
        tally = self.engine.tally
        seen, errors = len(tally.latencies), tally.errors
        before = clocks.read(self.around.pids)
        end = before.at + seconds
        while (left := end - time.perf_counter()) > 0:
            await asyncio.sleep(min(left, 0.1))
            self._look(ended=False)
            self.engine.expire()
            if not self._alone():
                break
        after = clocks.read(self.around.pids)
        return window(before, after, tally.latencies[seen:], tally.errors - errors)

    async def _step(
        self,
        connections: int,
        *,
        windows: int,
        rps: float,
        sample: bool = False,
        keep: bool = True,
    ) -> Load:
        """Load at so many connections: ramp up, then windows while time and company allow.

        `rps` is about what to expect: a window holds ten answers, the ramp one of each
        connection, where a second is enough for that.
        """
        engine = self.engine
        engine.run_at(connections)
        await self._window(min(1.5, max(0.1, connections / max(rps, 1e-9))))
        seconds = min(1.0, max(0.25, 10 / max(rps, 1e-9)))
        first = len(engine.tally.latencies)
        seen: list[Window] = []
        throttled = clocks.throttled_s(self.around.cgroups)
        sampled = self._sampled() if sample else ()
        with Sampler(sampled) as sampler:
            for _ in range(windows):
                seen.append(await self._window(seconds))
                if self._left() < 2 or not self._alone():
                    break
        load = Load(
            connections=connections,
            windows=tuple(seen),
            latencies=tuple(engine.tally.latencies[first:]),
            waits=sampler.result() if sampled else None,
            downstream=self.around.count_downstream(),
            throttled_s=clocks.throttled_s(self.around.cgroups) - throttled,
        )
        if keep:
            self.steps.append(load)
        self.progress(
            f"{connections:>5} connections: {load.rps:>9,.1f} requests/s, mean "
            f"{_ms(load.response_s)}, server {load.server_cores:.2f} cores, "
            f"generator {load.client_cores:.2f}"
        )
        return load

    def _sampled(self) -> tuple[int, ...]:
        """The workers that did most of the last step; sampling hundreds would be a load itself."""
        server = self.around.server
        if server is None:
            return ()
        workers = [worker.pid for worker in server.workers]
        if self.steps:
            workers.sort(key=self.steps[-1].cores_of, reverse=True)
        return tuple(workers[:SAMPLED_WORKERS])

    async def _bursts(self) -> None:
        """Beside others: one connection, a tenth of the time, what others cost taken off."""
        self.progress(f"{self.others}: short bursts on one connection instead.")
        bursts: list[Window] = []
        latencies: list[float] = []
        while len(bursts) < BURSTS and self._left() > 2:
            idle = await self._plain_window(PAUSE_S)
            self.idle.append(idle)
            begin = len(self.engine.tally.latencies)
            self.engine.run_at(1)
            bursts.append(await self._plain_window(BURST_S))
            await self._drain()
            latencies += self.engine.tally.latencies[begin:]
            if self.engine.tally.errors:
                self.stopped = f"an error: {self.engine.tally.last_error}"
                break
        self.steps.append(Load(connections=1, windows=tuple(bursts), latencies=tuple(latencies)))

    async def _plain_window(self, seconds: float) -> Window:
        tally = self.engine.tally
        seen, errors = len(tally.latencies), tally.errors
        before = clocks.read(self.around.pids)
        await asyncio.sleep(seconds)
        after = clocks.read(self.around.pids)
        return window(before, after, tally.latencies[seen:], tally.errors - errors)

    def _observation(self, knee: Load | None, plateau: bool) -> Observation:
        around = self.around
        idle_s = sum(w.seconds for w in self.idle)
        gone = [pid for pid in around.pids if clocks.process_cpu_s(pid) is None]
        return Observation(
            server=around.server,
            steps=tuple(self.steps),
            idle_cores=sum(w.server_cpu_s for w in self.idle) / idle_s if idle_s else 0.0,
            cores=around.cores,
            host_cores=around.host_cores,
            shares_limit=around.shares_limit,
            plateau=plateau,
            stopped=self.stopped,
            no_knee=None if self._alone() else self.others,
            changed=f"process {gone[0]} of the server ended under way" if gone else None,
            knee=knee,
            client_overhead_s=self.around.client_overhead_s,
        )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f} ms" if seconds != float("inf") else "no answer"
