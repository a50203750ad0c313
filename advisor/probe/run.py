"""`probe`: the effects around the protocol. Finds the server, loads it, cleans up."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from advisor.documents import Cost, Measurement, Server, Unknown
from advisor.errors import AdvisorError, Interrupted, TooLittleEvidence
from advisor.host import limits, servers
from advisor.probe import address
from advisor.probe.analysis.measure import measurement
from advisor.probe.load import calibration
from advisor.probe.load.engine import Engine
from advisor.probe.protocol import Protocol, Surroundings
from advisor.probe.questions import ask
from advisor.probe.sample import clocks, downstream
from advisor.probe.sample.traffic import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from advisor.probe.address import Endpoint
    from advisor.probe.analysis.observation import Observation


SETTLE_S = 8.0
# What a worker has used by then is its imports: it is younger than any earlier probe is long.
YOUNG_S = 10.0


def probe(
    url: str,
    *,
    pid: int | None = None,
    allow_remote: bool = False,
    allow_public: bool = False,
    saturate: bool = False,
    on_progress: Callable[[str], None],
) -> Measurement:
    """Measure the app at `url`: at most 30 s, GET only, nothing left running.

    `pid` names the server's process where the port does not tell. `saturate` looks for the
    knee even beside others' traffic. `on_progress` gets a line a step.

    Raises `InvalidInput`, `GuardRefused`, `TooLittleEvidence` as the contract has them, and
    `Interrupted` on SIGINT and SIGTERM.
    """
    endpoint = address.resolve(url, remote=allow_remote, public=allow_public)
    found = _find(endpoint, pid)
    work = _measure(endpoint, found, saturate=saturate, on_progress=on_progress)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(work))


async def _until_signal(work: Coroutine[object, object, Measurement]) -> Measurement:
    """Run `work`; a signal cancels it, which ends the load at once."""
    task = asyncio.get_running_loop().create_task(work)
    received: list[int] = []

    def cancel(signum: int) -> None:
        received.append(signum)
        task.cancel()

    loop = asyncio.get_running_loop()
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    for signum in before:
        loop.add_signal_handler(signum, cancel, signum)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
    finally:
        for signum, handler in before.items():
            loop.remove_signal_handler(signum)
            signal.signal(signum, handler)


@dataclass(frozen=True)
class Found:
    """The app server behind a URL, the proxies in front of it, and what could not be told."""

    server: Server | None
    through: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = ()


def _find(endpoint: Endpoint, pid: int | None) -> Found:
    """Whose processes are measured: those of `pid`, else of the port, a proxy's never."""
    if not endpoint.is_loopback:
        given = servers.server_of(pid) if pid is not None else None
        why = f"{endpoint.address} is another host: only its answers can be seen"
        gap = Unknown(what="the server's processes", why=why, remedy="probe on that host")
        return Found(given, (), () if given else (gap,))
    holder, unknown = servers.server_at(endpoint.address, endpoint.port)
    through = (holder.kind,) if holder and holder.kind in servers.PROXIES else ()
    if pid is not None:
        return Found(servers.server_of(pid), through)
    if holder is None or not through:
        return Found(holder, (), tuple(unknown))
    gap = Unknown(
        what="the app's processes",
        why=f"what listens on port {endpoint.port} is {holder.kind}, a proxy in front of them",
        remedy="give the app's own URL, or --pid of its server",
    )
    return Found(None, through, (*unknown, gap))


async def _measure(
    endpoint: Endpoint,
    found: Found,
    *,
    saturate: bool,
    on_progress: Callable[[str], None],
) -> Measurement:
    started, own_cpu = time.perf_counter(), time.process_time()
    answers = await ask.ask(endpoint)
    server = await _settled(found.server)
    around = replace(
        _surroundings(endpoint, server, saturate=saturate),
        client_overhead_s=await calibration.client_overhead_s() or 0.0,
    )
    before = clocks.read(around.pids)
    young = {pid: used for pid, used in before.server.items() if clocks.age_s(pid) < YOUNG_S}
    engine = Engine(
        endpoint, tls=ssl.create_default_context() if endpoint.scheme == "https" else None
    )
    watch = Watch(endpoint.port, lambda: engine.peers) if endpoint.is_loopback else None
    try:
        seen = await Protocol(engine, watch, around, on_progress, started).run()
    finally:
        engine.close()
        await asyncio.sleep(0)  # lets the loop close the connections
    _usable(endpoint, engine, seen)
    after = clocks.read(around.pids)
    cost = Cost(
        requests=engine.tally.sent + answers.sent,
        duration_s=round(time.perf_counter() - started, 3),
        client_cpu_s=round(time.process_time() - own_cpu, 3),
        server_cpu_s=round(after.server_s - before.server_s, 3) if server else None,
    )
    refreshed = _refreshed(server)
    workers = refreshed.workers if refreshed else []
    boot = {} if seen.no_knee else young  # others' requests would be in it
    return measurement(
        seen,
        url=endpoint.url,
        through=found.through,
        http=answers.http,
        workers=[w.model_copy(update={"boot_cpu_s": boot.get(w.pid)}) for w in workers],
        cost=cost,
        unknown=[*found.unknown, *_health(answers.health)],
    )


async def _settled(server: Server | None) -> Server | None:
    """The server once its workers have booted: all of them there, and quiet; at most 8 s later.

    The first answer comes while other workers still import.
    """
    deadline = time.perf_counter() + SETTLE_S
    while server and time.perf_counter() < deadline:
        pids = _pids(server)
        before = clocks.read(pids)
        await asyncio.sleep(0.3)
        after = clocks.read(pids)
        now = _refreshed(server)
        quiet = after.server_s - before.server_s < 0.05 * (after.at - before.at)
        if now and quiet and _pids(now) == pids:
            return now
        server = now
    return server


def _pids(server: Server) -> tuple[int, ...]:
    return tuple(dict.fromkeys([server.pid, *(worker.pid for worker in server.workers)]))


def _surroundings(endpoint: Endpoint, server: Server | None, *, saturate: bool) -> Surroundings:
    cpu, _ = limits.cpu(server.pid if server else None)
    own, _ = limits.cpu()
    workers = [w.pid for w in server.workers] if server else []
    quotas = [Path(limit.source).parent for limit in cpu.limits if limit.kind == "quota"]
    return Surroundings(
        server=server,
        pids=_pids(server) if server else (),
        cores=cpu.effective,
        host_cores=cpu.logical,
        shares_limit=cpu.binding == own.binding and cpu.quota == "limited",
        cgroups=tuple(quotas),
        count_downstream=partial(downstream.count, workers, server_port=endpoint.port)
        if workers
        else lambda: None,
        saturate=saturate,
    )


def _usable(endpoint: Endpoint, engine: Engine, seen: Observation) -> None:
    """A probe whose requests all failed has measured nothing."""
    if not engine.tally.latencies:
        raise TooLittleEvidence(
            f"{endpoint.url}: no request under load was answered "
            f"({engine.tally.last_error or 'too slow'}; {len(seen.steps)} steps tried)",
            remedy="Look at the app's log, and probe a route that works.",
        )


def _refreshed(server: Server | None) -> Server | None:
    """The server as it is after the load: workers' memory is read warm."""
    if server is None:
        return None
    try:
        return servers.server_of(server.pid)
    except AdvisorError:  # it ended under way, which the verdict says
        return server


def _health(statuses: dict[str, int]) -> list[Unknown]:
    if any(200 <= status < 300 for status in statuses.values()):
        return []
    tried = ", ".join(f"{path} {status or 'no answer'}" for path, status in statuses.items())
    return [
        Unknown(
            what="health route",
            why=f"none of the usual ones answers ({tried})",
            remedy="name it as app.health in advisor.yml",
        )
    ]
