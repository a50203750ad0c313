"""What worker classes take of a request that does nothing: null apps, loaded in turns."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import ClassCost
from advisor.host import limits
from advisor.host.tree import clean
from advisor.probe.address import Endpoint
from advisor.probe.analysis.observation import window
from advisor.probe.analysis.verdict import MAX_ERRORS, MAX_STEAL
from advisor.probe.classes.candidates import HOST
from advisor.probe.classes.interpreter import LeftOut
from advisor.probe.classes.launch import GRACE_S, LOOK_S, check, served
from advisor.probe.load.engine import Engine
from advisor.probe.load.tally import Caps
from advisor.probe.sample import clocks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from advisor.probe.analysis.observation import Window
    from advisor.probe.classes.candidates import Candidate
    from advisor.probe.classes.interpreter import Interpreter
    from advisor.probe.classes.launch import Served

CONNECTIONS = 16
WARM_S, RAMP_S, WINDOW_S, DRAIN_S = 0.3, 0.1, 0.25, 0.2
# Requests that come one by one, so far apart that each finds its worker asleep.
WAKES, ASLEEP_S = 8, 0.02
TURN_S = RAMP_S + WINDOW_S + WAKES * ASLEEP_S
# A virtual machine may give half as much from one second to the next: the classes take turns, and
# the median of their windows counts.
ROUNDS = 3
# Fewer say little; and a null app that cannot do two hundred a second has some other trouble.
MIN_REQUESTS = 50
# The server is ours, and some answer more than the 50,000 a second that the engine stops at.
CAPS = Caps(
    connections=CONNECTIONS,
    requests_per_s=1e6,
    answer_bytes=64 * 1024,
    total_bytes=256 * 1024**2,
    request_s=2.0,
)
# Others may use what the worker and the load leave; where nothing is left, they took from it.
OTHERS, FULL = 0.05, 0.95
BUSY = "measure again when the host is quieter"


@dataclass(eq=False)
class Load:
    """A null app under a class, the load on it, and what its windows gave or why they did not."""

    candidate: Candidate
    server: Served
    engine: Engine
    seen: list[ClassCost] = field(default_factory=list)
    woken: list[float] = field(default_factory=list)
    disturbed: LeftOut | None = None

    async def warm_up(self) -> None:
        """Until it answers, and a moment longer; raises `LeftOut` where it ends instead."""
        self.engine.run_at(1)
        while not self.engine.tally.latencies:
            check(self.server.process)
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(WARM_S)
        await self.engine.drain(patience_s=DRAIN_S)

    async def measure(self, quotas: list[Path]) -> None:
        """One turn more, unless something disturbs it: a window under load, and some wake-ups."""
        pids, throttled = self.server.pids(), clocks.throttled_s(quotas)
        self.engine.run_at(CONNECTIONS)
        await asyncio.sleep(RAMP_S)
        window = await _window(self.engine, pids, asyncio.sleep(WINDOW_S))
        await self.engine.drain(patience_s=DRAIN_S)
        wakes = await _window(self.engine, pids, self._wake())
        cores = len(os.sched_getaffinity(0))
        window = confined(window, cores, host_cores=os.cpu_count() or cores)
        disturbed = disturbance(window, clocks.throttled_s(quotas) - throttled, cores=cores)
        if self.server.pids() != pids:
            disturbed = LeftOut("a process of it ended under way", BUSY)
        if disturbed is None:
            self.seen.append(reckoned(window, self.candidate.workers, cores=cores))
            if wakes.completed:
                self.woken.append(wakes.server_cpu_s / wakes.completed)
        self.disturbed = disturbed

    async def _wake(self) -> None:
        self.engine.open_loop(1)
        for _ in range(WAKES):
            await asyncio.sleep(ASLEEP_S)
            self.engine.arrive(time.perf_counter())
        await self.engine.drain(patience_s=DRAIN_S)

    @property
    def cost(self) -> ClassCost:
        """The median of its windows; raises `LeftOut` where none was undisturbed."""
        if not self.seen:
            raise self.disturbed or LeftOut("it was not measured", BUSY)
        cpu_s = statistics.median(each.cpu_s for each in self.seen)
        woken_s = statistics.median(self.woken) if self.woken else None
        return ClassCost(
            cpu_s=cpu_s,
            held_s=statistics.median(each.held_s for each in self.seen),
            wake_s=None if woken_s is None else round(max(0.0, woken_s - cpu_s), 9),
        )


async def costs_of(
    candidates: Sequence[Candidate], interpreter: Interpreter, limit_s: float
) -> dict[str, ClassCost | LeftOut]:
    """CPU and time of a null request under each class, or why not, within `limit_s`.

    All of them are up at once, and loaded in turns; nothing of them stays.
    """
    ends = time.perf_counter() + limit_s - GRACE_S * len(candidates)
    found: dict[str, ClassCost | LeftOut] = {}
    cpu, _ = limits.cpu()
    quotas = [Path(limit.source).parent for limit in cpu.limits if limit.kind == "quota"]
    async with AsyncExitStack() as stack:
        loads: list[Load] = []
        for turn, candidate in enumerate(candidates):
            left = len(candidates) - turn
            spare_s = ends - time.perf_counter() - (len(loads) + left) * TURN_S
            try:
                loads.append(await _begun(stack, candidate, interpreter, spare_s / left))
            except LeftOut as reason:
                found[candidate.name] = reason
        for _ in range(ROUNDS):
            for load in list(loads):
                if time.perf_counter() + TURN_S > ends:
                    break
                try:
                    await load.measure(quotas)
                except LeftOut as reason:
                    loads.remove(load)
                    found[load.candidate.name] = reason
        for load in loads:
            try:
                found[load.candidate.name] = load.cost
            except LeftOut as reason:
                found[load.candidate.name] = reason
    return found


async def _begun(
    stack: AsyncExitStack, candidate: Candidate, interpreter: Interpreter, limit_s: float
) -> Load:
    """A null app that answers, within `limit_s`; it ends with `stack`.

    Raises `LeftOut` where the server does not start or does not answer.
    """
    try:
        async with asyncio.timeout(limit_s):
            server = await stack.enter_async_context(served(candidate, interpreter))
            engine = Engine(Endpoint("http", HOST, HOST, server.port, "/"), caps=CAPS)
            stack.push_async_callback(_closed, engine)
            load = Load(candidate, server, engine)
            await load.warm_up()
            return load
    except TimeoutError:
        raise LeftOut(f"not measured within {max(0.0, limit_s):.1f} s", BUSY) from None
    except OSError as error:
        raise LeftOut(
            f"{clean(interpreter.python)} could not be started: {error.strerror or 'refused'}",
            "check that the server's user may run it, and that TMPDIR is open to that user",
        ) from None


async def _closed(engine: Engine) -> None:
    engine.close()
    await asyncio.sleep(0)  # lets the loop close the connections


async def _window(engine: Engine, pids: tuple[int, ...], passes: Awaitable[None]) -> Window:
    tally = engine.tally
    seen, errors = len(tally.latencies), tally.errors
    before = clocks.read(pids)
    await passes
    after = clocks.read(pids)
    return window(before, after, tally.latencies[seen:], tally.errors - errors)


def confined(seen: Window, cores: int, *, host_cores: int) -> Window:
    """What a window of the host says of the `cores` that we may use: a mask may leave us fewer.

    Others are taken to have the rest of the host first, and the hypervisor to take as much of each.
    """
    elsewhere = (host_cores - cores) * seen.seconds
    others, steal = max(0.0, seen.others_cpu - elsewhere), seen.steal * cores / host_cores
    return replace(seen, others_cpu=others, steal=steal)


def disturbance(seen: Window, throttled_s: float, *, cores: int) -> LeftOut | None:
    """Why a window of `cores` says nothing of the class; None where it does."""
    if seen.steal > MAX_STEAL * cores * seen.seconds:
        return LeftOut("the hypervisor took CPU away meanwhile (steal)", BUSY)
    capacity = cores * seen.seconds - seen.steal
    busy = seen.server_cpu_s + seen.client_cpu + seen.others_cpu
    if seen.others_cpu > OTHERS * capacity and busy > FULL * capacity:
        return LeftOut(f"others used {seen.others_cpu / seen.seconds:.1f} cores meanwhile", BUSY)
    if throttled_s > 0:
        return LeftOut("a CPU quota held it back", "measure where more CPU is allowed")
    if seen.errors > MAX_ERRORS * (seen.errors + seen.completed):
        return LeftOut(f"{seen.errors} of its requests failed", "see that its packages fit")
    if seen.completed < MIN_REQUESTS or seen.server_cpu_s <= 0:
        return LeftOut(f"only {seen.completed} requests in {seen.seconds:.1f} s", BUSY)
    return None


def reckoned(seen: Window, workers: int, *, cores: int) -> ClassCost:
    """CPU a request of all the server's processes, and the time that one worker is held by it.

    A worker is not held while the load or others have its core.
    """
    free = cores * seen.seconds - seen.steal - seen.client_cpu - seen.others_cpu
    held = max(seen.server_cpu_s, min(workers * seen.seconds, free))
    return ClassCost(
        cpu_s=round(seen.server_cpu_s / seen.completed, 9),
        held_s=round(held / seen.completed, 9),
    )
