"""What one worker class takes of a request that does nothing: one worker, loaded for a moment."""

from __future__ import annotations

import asyncio
import os
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
from advisor.probe.classes.launch import LOOK_S, check, served
from advisor.probe.load.engine import Engine
from advisor.probe.load.tally import Caps
from advisor.probe.sample import clocks

if TYPE_CHECKING:
    from advisor.probe.analysis.observation import Window
    from advisor.probe.classes.candidates import Candidate
    from advisor.probe.classes.interpreter import Interpreter
    from advisor.probe.classes.launch import Served

CONNECTIONS = 16
WARM_S, RAMP_S, WINDOW_S = 0.4, 0.1, 0.5
TRIES = 2
# Fewer say little; and a null app that cannot do two hundred a second has some other trouble.
MIN_REQUESTS = 100
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


async def cost(candidate: Candidate, interpreter: Interpreter, limit_s: float) -> ClassCost:
    """CPU and time of a null request under a worker class, within `limit_s`, ended afterwards.

    Raises `LeftOut` where the server does not start, does not answer or is disturbed.
    """
    try:
        async with asyncio.timeout(limit_s), served(candidate, interpreter) as server:
            return await _loaded(server, candidate.workers)
    except TimeoutError:
        raise LeftOut(f"not measured within {max(0.0, limit_s):.1f} s", BUSY) from None
    except OSError as error:
        raise LeftOut(
            f"{clean(interpreter.python)} could not be started: {error.strerror or 'refused'}",
            "check that the server's user may run it, and that TMPDIR is open to that user",
        ) from None


async def _loaded(server: Served, workers: int) -> ClassCost:
    engine = Engine(Endpoint("http", HOST, HOST, server.port, "/"), caps=CAPS)
    try:
        engine.run_at(1)
        while not engine.tally.latencies:
            check(server.process)
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(WARM_S)
        engine.run_at(CONNECTIONS)
        await asyncio.sleep(RAMP_S)
        return await _measured(server, engine, workers)
    finally:
        engine.close()
        await asyncio.sleep(0)  # lets the loop close the connections


async def _measured(server: Served, engine: Engine, workers: int) -> ClassCost:
    """The first window that nothing disturbed, of a few."""
    cpu, _ = limits.cpu()
    quotas = [Path(limit.source).parent for limit in cpu.limits if limit.kind == "quota"]
    disturbed = None
    for _ in range(TRIES):
        pids, throttled = server.pids(), clocks.throttled_s(quotas)
        seen = await _window(engine, pids)
        if server.pids() != pids:
            disturbed = LeftOut("a process of it ended under way", BUSY)
            continue
        disturbed = disturbance(
            seen, clocks.throttled_s(quotas) - throttled, host_cores=os.cpu_count() or 1
        )
        if disturbed is None:
            return reckoned(seen, workers)
    raise disturbed or LeftOut("it was not measured", BUSY)


async def _window(engine: Engine, pids: tuple[int, ...]) -> Window:
    tally = engine.tally
    seen, errors = len(tally.latencies), tally.errors
    before = clocks.read(pids)
    await asyncio.sleep(WINDOW_S)
    after = clocks.read(pids)
    return window(before, after, tally.latencies[seen:], tally.errors - errors)


def disturbance(seen: Window, throttled_s: float, *, host_cores: int) -> LeftOut | None:
    """Why a window says nothing of the class; None where it does."""
    if seen.steal > MAX_STEAL * host_cores * seen.seconds:
        return LeftOut("the hypervisor took CPU away meanwhile (steal)", BUSY)
    capacity = host_cores * seen.seconds - seen.steal
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


def reckoned(seen: Window, workers: int) -> ClassCost:
    """CPU a request of all the server's processes, and the reciprocal of one worker's rate."""
    return ClassCost(
        cpu_s=round(seen.server_cpu_s / seen.completed, 9),
        held_s=round(workers * seen.seconds / seen.completed, 9),
    )
