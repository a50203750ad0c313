"""`probe`: the effects around the protocol. Finds the server, loads it, cleans up."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Cost, Measurement, Unknown
from advisor.errors import AdvisorError, InvalidInput, TooLittleEvidence
from advisor.host import limits, machine, servers
from advisor.probe import address
from advisor.probe.analysis.measure import measurement
from advisor.probe.choice import Allowed, Choice, chosen
from advisor.probe.classes.calibrate import class_costs
from advisor.probe.interrupt import run_until_signal
from advisor.probe.load import calibration
from advisor.probe.load.engine import Engine
from advisor.probe.passive import formats
from advisor.probe.passive.follow import recent
from advisor.probe.protocol import Protocol
from advisor.probe.questions.ask import ask
from advisor.probe.sample import canary, carried, clocks, downstream, memory, stacks
from advisor.probe.sample.traffic import Watch
from advisor.probe.stepper import Stepper, Surroundings
from advisor.probe.target import access_log, find, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from advisor.documents import Server
    from advisor.host.locate import Located
    from advisor.host.proxies.site import AccessLog
    from advisor.probe.address import Endpoint

SETTLE_S = 8.0
# What a worker has used by then is its imports: it is younger than any earlier probe is long.
YOUNG_S = 10.0
RECENT_S = 600.0
# A null app on less would be measured as its neighbours are.
SPARE_CORES = 0.5


def probe(
    url: str,
    *,
    on_progress: Callable[[str], None],
    pid: int | None = None,
    unix_socket: Path | None = None,
    choice: Choice | None = None,
    allowed: Allowed | None = None,
) -> Measurement:
    """Measure the app at `url`: at most 30 s (35 with its classes), GET only, nothing left running.

    `pid` names the server's process where the port does not tell, `unix_socket` where it listens
    if not at the URL's address; `choice` says which routes are loaded, by default the URL's own.
    `on_progress` gets a line a step.

    Raises `InvalidInput`, `GuardRefused`, `TooLittleEvidence` as the contract has them, and
    `Interrupted` on SIGINT and SIGTERM.
    """
    allowed, choice = allowed or Allowed(), choice or Choice()
    endpoint = address.resolve(
        url, remote=allowed.remote, public=allowed.public, socket=unix_socket
    )
    found = find(endpoint, pid)
    with _uncollected():
        seen = run_until_signal(_measure(endpoint, found, choice, allowed, on_progress))
        return _of_this_host(seen, found.server, on_progress, classes=allowed.classes)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's cyclic garbage collector.

    A whole collection stops this process for tens of milliseconds, in which answers wait to be
    read and look late; the load itself leaves no cycles behind.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _of_this_host(
    seen: Measurement,
    server: Server | None,
    on_progress: Callable[[str], None],
    *,
    classes: bool,
) -> Measurement:
    """The measurement with its host's name and, where wanted, what worker classes cost there."""
    if server is None:
        return seen
    named = seen.model_copy(update={"host": machine.host(Path("/")).name})
    interface = server.interface
    if not classes or interface is None:
        return named
    # Null apps would compete with whoever else uses this one, or the host.
    left = seen.limiter.evidence.get("cpu_left_cores")
    spare = not isinstance(left, int | float) or left >= SPARE_CORES
    alone = seen.throughput.knee_rps is not None and spare
    costs, gaps = class_costs(server, interface, on_progress=on_progress, allowed=alone)
    return named.model_copy(update={"class_costs": costs, "unknown": [*seen.unknown, *gaps]})


async def _measure(
    endpoint: Endpoint,
    found: Located,
    choice: Choice,
    allowed: Allowed,
    on_progress: Callable[[str], None],
) -> Measurement:
    started, own_cpu = time.perf_counter(), time.process_time()
    log = access_log(found, choice.access_log, choice.log_format)
    routes = await chosen(endpoint, choice, log)
    answers = await ask(endpoint, tuple(routes.weights), strict=routes.named)
    weights = {path: w for path, w in routes.weights.items() if path not in answers.left_out}
    server = await _settled(found.server)
    watchable = endpoint.is_loopback and not endpoint.socket
    tls = ssl.create_default_context() if endpoint.scheme == "https" else None
    engine = Engine(endpoint, routes=weights, tls=tls)
    watch = Watch(endpoint.port, lambda: engine.peers) if watchable else None
    around = _surroundings(endpoint, server, await calibration.client_overhead_s() or 0.0)
    before = clocks.read(around.pids)
    young = {pid: used for pid, used in before.server.items() if clocks.age_s(pid) < YOUNG_S}
    workers = tuple(worker.pid for worker in server.workers) if server else ()
    stack_program = stacks.available() if allowed.stacks else None
    protocol = Protocol(
        Stepper(
            engine,
            watch,
            around,
            on_progress,
            started,
            saturate=allowed.saturate,
            others=_logged(log),
        ),
        confirm=partial(
            canary.canary, endpoint, workers, engine.mix.requests[0], tls, ours=engine.peers
        ),
        stacks=stacks.StackSampler(stack_program, workers, server.app)
        if stack_program and server
        else None,
    )
    try:
        seen = await protocol.run()
    finally:
        engine.close()
        await asyncio.sleep(0)  # lets the loop close the connections
    if not engine.tally.latencies:
        raise TooLittleEvidence(
            f"{endpoint.url}: no request under load was answered "
            f"({engine.tally.last_error or 'too slow'}; {len(seen.steps)} steps tried)",
            remedy="Look at the app's log, and probe a route that works.",
        )
    used = clocks.read(around.pids).server_s - before.server_s
    refreshed = _refreshed(server)
    boot = {} if seen.no_knee else young  # others' requests would be in it
    return measurement(
        seen,
        target=target_of(endpoint.url, found, server),
        routes=weights,
        errors=engine.tally.errors_by_route,
        http=answers.http,
        workers=[
            worker.model_copy(update={"boot_cpu_s": boot.get(worker.pid)})
            for worker in (refreshed.workers if refreshed else [])
        ],
        holdings=memory.holdings(refreshed) if refreshed else None,
        interface=carried.default_interface(),
        cost=Cost(
            requests=engine.tally.sent + answers.sent + routes.sent,
            duration_s=round(time.perf_counter() - started, 3),
            client_cpu_s=round(time.process_time() - own_cpu, 3),
            server_cpu_s=round(used, 3) if server else None,
        ),
        unknown=[
            *found.unknown,
            *routes.unknown,
            *_left_out(answers.left_out),
            *_health(answers.health),
            *(
                []
                if stack_program or not allowed.stacks
                else [stacks.unknown(stacks.NOT_INSTALLED)]
            ),
        ],
    )


def _logged(log: AccessLog | None) -> str | None:
    """Why the app is in use, where the proxy's log of the last ten minutes tells of others."""
    if log is None:
        return None
    try:
        entries = recent(log.path, formats.parser(log.format or None), RECENT_S)
    except InvalidInput:  # said where the log was asked for by name
        return None
    others = [entry for entry in entries if entry.proxied is not False and not entry.ours]
    if not others:
        return None
    return (
        f"others use the app ({len(others)} requests in {log.path} in the last "
        f"{RECENT_S / 60:.0f} minutes), so no knee was looked for"
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


def _surroundings(endpoint: Endpoint, server: Server | None, overhead_s: float) -> Surroundings:
    cpu, _ = limits.cpu(server.pid if server else None)
    own, _ = limits.cpu()
    workers = [worker.pid for worker in server.workers] if server else []
    return Surroundings(
        server=server,
        pids=_pids(server) if server else (),
        cores=cpu.effective,
        host_cores=cpu.logical,
        shares_limit=cpu.binding == own.binding and cpu.quota == "limited",
        cgroups=tuple(Path(limit.source).parent for limit in cpu.limits if limit.kind == "quota"),
        count_downstream=partial(downstream.count, workers, server_port=endpoint.port)
        if workers
        else lambda: None,
        client_overhead_s=overhead_s,
    )


def _refreshed(server: Server | None) -> Server | None:
    """The server as it is after the load: workers' memory is read warm."""
    if server is None:
        return None
    try:
        return servers.server_of(server.pid)
    except AdvisorError:  # it ended under way, which the verdict says
        return server


def _left_out(routes: Mapping[str, str]) -> list[Unknown]:
    return [
        Unknown(what=f"route {path}", why=why, remedy="measure a route that answers, and ends")
        for path, why in routes.items()
    ]


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
