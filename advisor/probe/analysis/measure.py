"""From what a probe saw to the measurement document. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from advisor.documents import (
    MEASUREMENT_SCHEMA,
    Cost,
    Estimate,
    Measurement,
    Step,
    Target,
    Throughput,
    Unknown,
    Worker,
)
from advisor.probe.analysis import statistics, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import HttpFacts
    from advisor.probe.analysis.observation import Load, Observation

# The same launch under another client, or a moment later, costs another figure. A first estimate,
# from one run of benchmarks/measurement.py; the next run was wider (7 of 15 intervals held).
BETWEEN_LOADS = 0.08
TRUSTED_WIDTH = 0.1


def measurement(
    seen: Observation,
    *,
    url: str,
    through: Sequence[str],
    http: Sequence[HttpFacts],
    workers: Sequence[Worker],
    cost: Cost,
    unknown: Sequence[Unknown],
) -> Measurement:
    """The document of one probe; `workers` with the memory they have after it."""
    top = seen.knee or (seen.steps[-1] if seen.steps else None)
    exact = cpu_per_request(seen, top)
    demand = statistics.widen(exact, BETWEEN_LOADS) if exact else None
    server = seen.server
    blocked = blocked_per_request(seen)
    limiter = verdict.judge(seen)
    gaps = [*unknown, *_gaps(seen, demand, blocked, limiter.verdict, limiter.why)]
    return Measurement(
        schema_=MEASUREMENT_SCHEMA,
        mode="probe",
        target=Target(
            url=url,
            pid=server.pid if server else None,
            server=server.kind if server else None,
            worker_class=server.worker_class if server else None,
            workers=len(server.workers) if server else None,
            threads=server.threads if server else None,
            through=list(through),
        ),
        limiter=limiter,
        cpu_per_request_s=demand,
        wait_per_request_s=wait_per_request(seen),
        blocked_per_request_s=blocked,
        latency_s=_latency(seen),
        throughput=Throughput(
            knee_rps=_knee(seen), steps=[_step(seen, step) for step in seen.steps]
        ),
        workers=[_with_share(worker, top) for worker in workers],
        memory_growth_bytes_per_request=None,
        http=list(http),
        cost=cost,
        unknown=gaps,
    )


def cpu_per_request(seen: Observation, load: Load | None) -> Estimate | None:
    """D = busy CPU / completions (Denning and Buzen 1978), what the server burns idle taken off."""
    if load is None or seen.server is None or not load.completed:
        return None
    return statistics.ratio(
        [w.server_cpu_s - seen.idle_cores * w.seconds for w in load.windows],
        [w.completed for w in load.windows],
        n=load.completed,
    )


def wait_per_request(seen: Observation) -> Estimate | None:
    """Response of a lone request less its CPU, its wait for a CPU and the client's overhead.

    Off the CPU for whatever reason: awaiting, sleeping, blocking; `blocked_per_request_s` is
    a part of it.
    """
    if seen.server is None or not seen.steps:
        return None
    first = seen.steps[0]
    return statistics.ratio(
        [
            w.latency_sum
            - (w.server_cpu_s - seen.idle_cores * w.seconds)
            - w.run_queue_wait
            - w.completed * seen.client_overhead_s
            for w in first.windows
        ],
        [w.completed for w in first.windows],
        n=first.completed,
    )


def blocked_per_request(seen: Observation) -> Estimate | None:
    """Time per request in which an event loop's thread waits outside its selector.

    From samples during lone requests: the blocked share of the time, over the rate. None for
    servers without an event loop, and where the kernel does not tell.
    """
    if seen.event_loops is None or not seen.steps:
        return None
    first = seen.steps[0]
    if first.waits is None or not first.waits.readable or not first.completed:
        return None
    counts = [first.waits.blocked(pid) for pid in first.waits.by_pid]
    blocked, samples = sum(c[0] for c in counts), max(c[1] for c in counts)
    if not samples:
        return None
    low, high = statistics.proportion(min(blocked, samples), samples)
    per_request = first.seconds / first.completed
    return Estimate(
        value=min(blocked, samples) / samples * per_request,
        low=low * per_request if blocked else 0.0,
        high=high * per_request,
        n=samples,
    )


def _latency(seen: Observation) -> dict[Literal["p50", "p99"], Estimate | None]:
    """Percentiles at the highest step that served at most half of the knee's rate."""
    best = max((step.rps for step in seen.steps), default=0.0)
    modest = [step for step in seen.steps if step.rps <= best / 2] or list(seen.steps[:1])
    latencies = modest[-1].latencies if modest else ()
    return {
        "p50": statistics.percentile(latencies, 0.5),
        "p99": statistics.percentile(latencies, 0.99),
    }


def _knee(seen: Observation) -> Estimate | None:
    if seen.knee is None or not seen.plateau:
        return None
    windows = seen.knee.windows
    return statistics.ratio(
        [w.completed for w in windows], [w.seconds for w in windows], n=len(windows)
    )


def _step(seen: Observation, load: Load) -> Step:
    p50 = statistics.percentile(load.latencies, 0.5)
    p99 = statistics.percentile(load.latencies, 0.99)
    demand = cpu_per_request(seen, load)
    return Step(
        connections=load.connections,
        rps=round(load.rps, 3),
        p50_s=p50.value if p50 else None,
        p99_s=p99.value if p99 else None,
        server_cpu_cores=round(load.server_cores, 4) if seen.server else None,
        client_cpu_cores=round(load.client_cores, 4),
        cpu_per_request_s=demand.value if demand else None,
        errors=load.errors,
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


def _gaps(
    seen: Observation, demand: Estimate | None, blocked: Estimate | None, judged: str, why: str
) -> list[Unknown]:
    gaps = []
    if seen.server is None:
        gaps.append(
            Unknown(
                what="cpu_per_request_s",
                why="the server's processes are not known",
                remedy="run on the server's host as root, or give --pid",
            )
        )
    elif demand is None:
        gaps.append(
            Unknown(
                what="cpu_per_request_s",
                why="too few requests were answered",
                remedy="probe a faster route",
            )
        )
    elif demand.high - demand.value > TRUSTED_WIDTH * demand.value:
        gaps.append(
            Unknown(
                what="cpu_per_request_s within 10 %",
                why="the interval is wider: other load, or few requests",
                remedy="probe again when the host is quiet",
            )
        )
    if seen.event_loops and blocked is None:
        gaps.append(
            Unknown(
                what="blocked_per_request_s",
                why="what the workers wait for is hidden from this user",
                remedy="run as root, or as the server's user",
            )
        )
    if judged == "unknown":
        gaps.append(
            Unknown(what="limiter", why=why, remedy=_REMEDY if not seen.no_knee else _ALONE)
        )
    gaps.append(
        Unknown(
            what="memory growth",
            why="this version does not measure it",
            remedy="watch the workers' PSS over some hours",
        )
    )
    return gaps


_REMEDY = "probe again when the host is quiet"
_ALONE = "probe a copy that nobody uses, or add --saturate if this app may be loaded"
