"""The procedure of a probe: watch, warm up, demand, routes, the knee, an open-loop check.

At most 30 s on a live app. Between steps the load is drained, because a server works on what
it was sent whether or not anybody waits for the answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.probe.analysis.gaps import BUSY_HOST_CORES
from advisor.probe.analysis.limiters.processor import SATURATED
from advisor.probe.analysis.observation import (
    Load,
    Observation,
    Window,
    is_event_loop,
    window,
)
from advisor.probe.analysis.verdict import MAX_ERRORS, MAX_STEAL
from advisor.probe.knee import GROWTH, AtTheKnee
from advisor.probe.sample import clocks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from advisor.probe.sample.canary import Canary
    from advisor.probe.sample.stacks import StackSampler
    from advisor.probe.stepper import Stepper

WATCH_S = 2.0
HARM = 10.0
# Where most connections wait in a queue, twice as many bring no more than this by where they land;
# the rest is a faster machine: routes on 2 x 40 threads gave 981, 1,058 and 1,133 requests/s to
# 128, 256 and 512.
QUEUED_GROWTH = 1.15
BURST_S, PAUSE_S = 0.08, 0.72  # a tenth of the time
BURSTS = 12
ROUTES_S = 5.0
LOOKS_BLOCKED = 0.2


@dataclass
class Protocol:
    """One run.

    `confirm` sends the canary where the event loop looks blocked; `stacks` names the line, where
    that is asked for.
    """

    on: Stepper
    confirm: Callable[[], Awaitable[Canary | None]]
    stacks: StackSampler | None = None
    steps: list[Load] = field(default_factory=list)
    routes: dict[str, Load] = field(default_factory=dict)
    canary: Canary | None = None
    stopped: str = ""

    def __post_init__(self) -> None:
        self.at_the_knee = AtTheKnee(self.on, self.stacks)

    async def run(self) -> Observation:
        """The whole protocol, or paced bursts where others use the app."""
        await self._watch_others()
        if not self.on.alone():
            await self._bursts()
            return self._observation(None, plateau=False)
        await self._demand(await self._warm_up())
        await self._each_route()
        knee, plateau = await self._find_knee()
        if knee and self.on.alone() and knee.error_ratio <= MAX_ERRORS:
            self.steps, knee = await self.at_the_knee.measure(self.steps, knee, plateau=plateau)
        return self._observation(knee if self.on.alone() else None, plateau=plateau)

    async def _watch_others(self) -> None:
        """Before a request is sent: who else uses the app, and is the host quiet?"""
        on = self.on
        on.progress(f"Watching for others' traffic ({WATCH_S:g} s).")
        before, throttled = clocks.read(on.around.pids), clocks.throttled_s(on.around.cgroups)
        end = time.perf_counter() + WATCH_S
        while time.perf_counter() < end and not on.others:
            on.look(ended=True)
            await asyncio.sleep(0.02)
        seen = window(before, clocks.read(on.around.pids), (), 0)
        on.idle.append(seen)
        others, steal = seen.others_cpu / seen.seconds, seen.steal / seen.seconds
        if others > BUSY_HOST_CORES:
            on.progress(
                f"Other processes use {others:.2f} cores: the figures will be less certain."
            )
        if steal > MAX_STEAL * on.around.host_cores:
            on.progress(f"The hypervisor takes {steal:.2f} cores away (steal).")
        if clocks.throttled_s(on.around.cgroups) > throttled:
            on.progress("A CPU quota already holds the app back.")

    async def _warm_up(self) -> float:
        """Load one connection until two windows agree within 10 %; the response time in s."""
        on = self.on
        on.progress("Warming up.")
        on.engine.run_at(1)
        previous, end, response = 0.0, time.perf_counter() + 4, 0.0
        while time.perf_counter() < end and on.alone():
            seen = await on.window(max(0.4, min(2.0, 4 * response)))
            response = seen.latency_sum / seen.completed if seen.completed else 1.0
            rate = seen.completed / seen.seconds
            if previous and abs(rate - previous) < 0.1 * previous:
                break
            previous = rate
        await on.drain()
        return response

    async def _demand(self, response_s: float) -> None:
        """One connection, then two: what a request costs and waits for when nothing queues."""
        on = self.on
        most = (
            f"up to {on.engine.caps.connections:,} connections"
            if on.alone()
            else "no more than two connections"
        )
        on.progress(
            f"Sending GET {' '.join(on.engine.mix.paths)} on one connection, then two, then "
            f"doubling ({most}) until the rate stops growing; at most {on.left():.0f} s."
        )
        for connections in (1, 2):
            await on.rest()
            rps = connections / max(response_s, 1e-4)
            await self._step(connections, windows=6, rps=rps, sample=True)
        first = self.steps[0]
        server = on.around.server
        looks_blocked = first.waits and first.waits.blocked_ratio > LOOKS_BLOCKED
        if looks_blocked and server and is_event_loop(server.worker_class) and on.left() > 10:
            self.canary = await self.confirm()

    async def _each_route(self) -> None:
        """Every route of a mix alone on two connections: its own CPU and waiting time."""
        on, mix = self.on, self.on.engine.mix
        if len(mix.paths) < 2:
            return
        seconds = min(0.25, ROUTES_S / len(mix.paths) / 5)
        for path in mix.paths:
            if on.left() < 12 or not on.alone():
                break
            mix.only(path)
            self.routes[path] = await on.step(2, windows=4, seconds=seconds, ramp_s=seconds)
        mix.everything()

    async def _find_knee(self) -> tuple[Load | None, bool]:
        """Double the connections until the rate stops growing: the last step, and if it did."""
        on = self.on
        first, flat, was_full, was_queued = self.steps[0], 0, False, False
        cap = on.engine.caps.connections
        connections = 4
        while on.left() > 4 and connections <= cap and on.alone() and not on.engine.spent:
            best = max(step.rps for step in self.steps)
            step = await self._step(connections, windows=4, rps=best)
            if step.error_ratio > MAX_ERRORS:
                self.stopped = f"{step.error_ratio:.0%} errors at {connections} connections"
                return step, False
            slow = step.response_s > HARM * max(first.response_s, 0.001)
            most = self._observation(None, plateau=False).most_cores(step)
            full = step.server_cores >= SATURATED * most
            # Full before and after: what it gained is not by the connections (a virtual machine's
            # cores get faster by half within seconds).
            stays_full = full and was_full
            # A few connections can all have fallen on one worker: that queue proves nothing.
            queued = connections >= 16 and step.queue(first.response_s) > connections / 2
            stays_queued = queued and was_queued and step.rps < QUEUED_GROWTH * best
            flat = flat + 1 if step.rps < GROWTH * best or stays_full or stays_queued else 0
            was_full, was_queued = full, queued
            if flat >= 2 or (flat and (slow or full or queued)):
                self.stopped = "the rate stopped growing"
                return step, True
            if slow:
                self.stopped = f"a response took {HARM:g} times as long as a lone one"
                return step, False
            connections *= 2
        if on.others and not on.alone():
            self.stopped = on.others
        elif on.engine.spent:
            self.stopped = f"it moved {on.engine.caps.total_bytes / 1024**3:g} GiB, its most"
        elif connections > cap:
            self.stopped = f"the most it sends is {cap} connections"
        else:
            self.stopped = f"its time was up; a lone request takes {first.response_s * 1e3:.1f} ms"
        return self.steps[-1], flat > 0

    async def _step(
        self, connections: int, *, windows: int, rps: float, sample: bool = False
    ) -> Load:
        """A step that lasts as long as it needs where about `rps` is to be expected.

        A window holds ten answers, the ramp one of each connection, where a second is enough.
        """
        load = await self.on.step(
            connections,
            windows=windows,
            seconds=min(1.0, max(0.25, 10 / rps)),
            ramp_s=min(1.5, max(0.1, connections / rps)),
            sample=sample,
        )
        self.steps.append(load)
        return load

    async def _bursts(self) -> None:
        """Beside others: one connection, a tenth of the time, what others cost taken off."""
        on = self.on
        on.progress(f"{on.others}: short bursts on one connection instead.")
        bursts: list[Window] = []
        latencies: list[float] = []
        routes: list[int] = []
        tally = on.engine.tally
        while len(bursts) < BURSTS and on.left() > 2:
            on.idle.append(await on.window(PAUSE_S, watched=False))
            begin = len(tally.latencies)
            on.engine.run_at(1)
            bursts.append(await on.window(BURST_S, watched=False))
            await on.drain()
            latencies += tally.latencies[begin:]
            routes += tally.routes[begin:]
            if tally.errors:
                self.stopped = f"an error: {tally.last_error}"
                break
        self.steps.append(
            Load(
                connections=1,
                windows=tuple(bursts),
                latencies=tuple(latencies),
                routes=tuple(routes),
            )
        )

    def _observation(self, knee: Load | None, *, plateau: bool) -> Observation:
        on, around = self.on, self.on.around
        idle_s = sum(w.seconds for w in on.idle)
        gone = [pid for pid in around.pids if clocks.process_cpu_s(pid) is None]
        return Observation(
            server=around.server,
            steps=tuple(self.steps),
            idle_cores=sum(w.server_cpu_s for w in on.idle) / idle_s if idle_s else 0.0,
            cores=around.cores,
            host_cores=around.host_cores,
            shares_limit=around.shares_limit,
            plateau=plateau,
            stopped=self.stopped,
            no_knee=None if on.alone() else on.others,
            changed=f"process {gone[0]} of the server ended under way" if gone else None,
            knee=knee,
            client_overhead_s=around.client_overhead_s,
            visits=tuple(self.at_the_knee.visits),
            open_load=self.at_the_knee.open_load,
            routes=self.routes,
            canary=self.canary,
            held=tuple(on.held),
            stored=tuple(on.stored),
            stacks=self.at_the_knee.seen_stacks,
        )
