"""From what a probe saw to the measurement document. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from advisor.documents import (
    MEASUREMENT_SCHEMA,
    Measurement,
    OpenLoop,
    Step,
    Throughput,
)
from advisor.probe.analysis import carriers, demand, gaps, statistics, verdict
from advisor.probe.analysis import routes as per_route
from advisor.probe.analysis.growth import Growth, growth
from advisor.probe.analysis.workers import balance, worker_memory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.documents import (
        Balance,
        Cost,
        Estimate,
        HttpFacts,
        Interface,
        Target,
        Unknown,
        Worker,
    )
    from advisor.probe.analysis.observation import Load, Observation
    from advisor.probe.sample.memory import Holdings


def measurement(
    seen: Observation,
    *,
    target: Target,
    routes: Mapping[str, float],
    errors: Mapping[int, int],
    http: Sequence[HttpFacts],
    workers: Sequence[Worker],
    holdings: Holdings | None,
    interface: Interface | None,
    cost: Cost,
    unknown: Sequence[Unknown],
) -> Measurement:
    """The document of one probe.

    `routes` are paths with weights, `errors` counts by their index; `workers` have the memory
    they have after it, as `holdings` tells in detail; `interface` is where clients come in.
    """
    top, limiter = seen.saturated, verdict.judge(seen)
    cpu, blocked = demand.cpu_at_the_knee(seen), demand.blocked_per_request(seen)
    missing = gaps.gaps(seen, top, demand=cpu, blocked=blocked, limiter=limiter)
    modest, knee = _modest(seen), _knee(seen)
    rate = knee.value if knee else None
    memory, memory_gaps = (
        worker_memory(seen.server, holdings) if seen.server and holdings else (None, [])
    )
    grown = growth(seen.held, workers=len(workers)) if seen.held else Growth(None, None)
    disk, disk_gap = carriers.disk(seen.stored, rate)
    around = [*memory_gaps, grown.unknown, disk_gap, seen.stacks.gap() if seen.stacks else None]
    return Measurement(
        schema_=MEASUREMENT_SCHEMA,
        mode="probe",
        target=target,
        limiter=limiter,
        cpu_per_request_s=cpu,
        wait_per_request_s=demand.wait_per_request(seen, seen.steps[0] if seen.steps else None),
        blocked_per_request_s=blocked,
        latency_s=_latency(modest),
        throughput=Throughput(
            knee_rps=knee,
            knee_connections=top.connections if knee and top else None,
            steps=[_step(seen, step) for step in seen.steps],
            open_loop=_open_loop(seen),
        ),
        workers=[_with_share(worker, top) for worker in workers],
        memory_growth_bytes_per_request=grown.estimate,
        http=list(http),
        cost=cost,
        unknown=[*unknown, *missing, *(gap for gap in around if gap)],
        threads=demand.threads(seen, top),
        routes=per_route.routes(seen, routes, under=modest, errors=errors, http=http),
        worker_memory=memory,
        balance=_balance(seen, top),
        network=carriers.network(top.windows, interface, rate) if top else None,
        disk=disk,
    )


def _balance(seen: Observation, top: Load | None) -> Balance | None:
    if seen.server is None or top is None or not top.completed:
        return None
    cores = {worker.pid: top.cores_of(worker.pid) for worker in seen.server.workers}
    return balance(cores, seen.cpu_left(top))


def _modest(seen: Observation) -> Load | None:
    """The open-loop load, else the highest step that served at most half of the knee's rate."""
    if seen.open_load:
        return seen.open_load.load
    best = max((step.rps for step in seen.steps), default=0.0)
    modest = [step for step in seen.steps if step.rps <= best / 2] or list(seen.steps[:1])
    return modest[-1] if modest else None


def _open_loop(seen: Observation) -> OpenLoop | None:
    offered = seen.open_load
    if offered is None:
        return None
    load = offered.load
    return OpenLoop(
        rate_rps=round(offered.rate_rps, 3),
        utilisation_ratio=round(offered.utilisation, 3),
        requests=load.completed,
        errors=load.errors,
        late_ratio=round(offered.late / max(1, offered.offered), 4),
        mean_s=statistics.ratio(
            [w.latency_sum for w in load.windows],
            [w.completed for w in load.windows],
            n=load.completed,
        ),
        p50_s=statistics.percentile(load.latencies, 0.5),
        p99_s=statistics.percentile(load.latencies, 0.99),
    )


def _latency(modest: Load | None) -> dict[Literal["p50", "p99"], Estimate | None]:
    latencies = modest.latencies if modest else ()
    return {
        "p50": statistics.percentile(latencies, 0.5),
        "p99": statistics.percentile(latencies, 0.99),
    }


def _knee(seen: Observation) -> Estimate | None:
    if seen.knee is None or not seen.plateau:
        return None
    loads = seen.visits or (seen.knee,)
    windows = [window for load in loads for window in load.windows]
    return statistics.ratio(
        [w.completed for w in windows], [w.seconds for w in windows], n=len(windows)
    )


def _step(seen: Observation, load: Load) -> Step:
    p50 = statistics.percentile(load.latencies, 0.5)
    p99 = statistics.percentile(load.latencies, 0.99)
    cost = demand.cpu_per_request(seen, load)
    return Step(
        connections=load.connections,
        rps=round(load.rps, 3),
        p50_s=p50.value if p50 else None,
        p99_s=p99.value if p99 else None,
        server_cpu_cores=round(load.server_cores, 4) if seen.server else None,
        client_cpu_cores=round(load.client_cores, 4),
        cpu_per_request_s=cost.value if cost else None,
        errors=load.errors,
        queue=round(load.queue(seen.steps[0].response_s), 2) if load.completed else None,
    )


def _with_share(worker: Worker, top: Load | None) -> Worker:
    """A worker with its share of the CPU that was used at the knee."""
    if top is None or not top.completed:
        return worker
    used = top.cores_of(worker.pid)
    total = top.server_cores
    return worker.model_copy(
        update={"share_ratio": round(min(1.0, max(0.0, used / total)), 3) if total else None}
    )
