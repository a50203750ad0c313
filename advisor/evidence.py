"""From documents to what the model and the rules take: demand, memory, budget, evidence.

Pure. What is not known takes a labelled default, on the cautious side, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown
from advisor.model.capacity import CLASSES, Demand
from advisor.model.memory import MemoryCost
from advisor.quantities import duration

if TYPE_CHECKING:
    from advisor.documents import Facts, Limit, Measurement, Server, Value, Worker
    from advisor.model.choose import Plan

MIB = 1024**2
# PSS of bare apps, measured: a UvicornWorker 31 MB, gthread 19 MB, the master 18 MB. Real apps
# import more, so an app that was not measured is taken for twice that, give or take half.
MASTER_BYTES = 20 * MIB
ASSUMED_WORKER_BYTES = {"asgi": 62 * MIB, "wsgi": 38 * MIB}
# An idle thread's stack takes 18 KB; one that has served requests several times that.
THREAD_BYTES = 128 * 1024
# Importing FastAPI takes 0.2 s of CPU, a real app several times that.
ASSUMED_BOOT_CPU_S = 0.5
# What a request that wakes its worker up costs more than one that finds it busy: likely, and at
# most (see `_idleness`).
LIKELY_WAKE_S = 0.00015
MOST_WAKE_S = 0.00057
# What is left is planned up to here: the rest is for what was not seen.
BUDGET_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan stands on: how sure it is, the figures it was computed from, its budget."""

    confidence: Literal["high", "medium", "low"]
    inputs: dict[str, Value]
    budget_source: str


@dataclass(frozen=True, slots=True)
class Amount:
    """A limit to plan with and where it comes from, in words."""

    value: float
    source: str


def demand_of(measurement: Measurement | None, interface: str) -> Demand | None:
    """Service demand of a request, in seconds; None where CPU or waiting were not measured.

    A measured wait contains the time that the event loop was blocked. That counts as blocking
    only where the verdict says so: below that it is noise of the sampling.
    """
    if measurement is None or measurement.cpu_per_request_s is None:
        return None
    cpu = measurement.cpu_per_request_s
    wait = _wait(measurement)
    if cpu.value <= 0 or cpu.n < 2 or wait is None:
        return None
    verdict = measurement.limiter.verdict
    blocked = 0.0
    if verdict == "event-loop-blocked":
        seen = measurement.blocked_per_request_s
        blocked = seen.value if seen else wait
    knee = measurement.throughput.knee_rps
    measured_as = CLASSES.get(measurement.target.worker_class or measurement.target.server or "")
    if measured_as and measured_as.interface != interface:
        measured_as = None
    idle = _idleness(measurement)
    wake = min(LIKELY_WAKE_S * idle, cpu.value / 2)
    own_limit = measurement.limiter.evidence.get("in_service_per_worker")
    return Demand(
        cpu_s=cpu.value - wake,
        cpu_low_s=max(cpu.low - MOST_WAKE_S * idle, cpu.value / 4),
        cpu_high_s=max(cpu.high, cpu.value),
        wait_s=max(0.0, wait - blocked),
        blocked_s=blocked,
        measured_as=measured_as,
        ceiling_rps=knee.value if knee and verdict == "downstream" and knee.value > 0 else None,
        wake_s=wake,
        slots=max(1, round(own_limit)) if isinstance(own_limit, int | float) else None,
    )


def _idleness(measurement: Measurement) -> float:
    """How idle the CPU was as the demand was measured: 0 (half busy or more) to 1 (unused).

    A worker that mostly waits wakes up to cold caches, and a request costs more than it will
    on busy workers: FACTS has 790 µs at 20/s and 458 at 200/s for one that takes 224 back to
    back. That is a cost of waking up, whatever the request computes: a Django page measured
    at 880 µs on idle workers took 750 to 930 on busy ones.
    """
    seen = measurement.limiter.evidence
    used, left = seen.get("server_cpu_cores"), seen.get("cpu_left_cores")
    workers = measurement.target.workers
    if not (isinstance(used, int | float) and isinstance(left, int | float) and workers):
        return 0.0
    most = min(left, workers)
    idle = 1 - used / most if most > 0 else 0.0
    return max(0.0, min(1.0, 2 * idle - 1))


def _wait(measurement: Measurement) -> float | None:
    """Seconds off the CPU; from the median response where it was not measured itself."""
    if measurement.wait_per_request_s is not None:
        return measurement.wait_per_request_s.value
    p50, cpu = measurement.latency_s.get("p50"), measurement.cpu_per_request_s
    return max(0.0, p50.value - cpu.value) if p50 and cpu else None


def workers_of(server: Server | None, measurement: Measurement | None) -> list[Worker]:
    """The workers as the measurement left them, warm, else as they run."""
    return (measurement.workers if measurement else []) or (server.workers if server else [])


def memory_cost(
    server: Server | None, measurement: Measurement | None, interface: str
) -> MemoryCost:
    """Base and marginal memory: a worker's USS is what one more adds, shared pages are base."""
    workers = workers_of(server, measurement)
    known = [(w.pss_bytes, w.uss_bytes) for w in workers if w.pss_bytes and w.uss_bytes]
    if not known:
        assumed = ASSUMED_WORKER_BYTES[interface]
        return MemoryCost(MASTER_BYTES, assumed, THREAD_BYTES, 0.5, 1.5, measured=False)
    marginal = max(uss for _, uss in known)
    shared = sum(max(0, pss - uss) for pss, uss in known)
    master = server.master_pss_bytes if server and server.master_pss_bytes else MASTER_BYTES
    return MemoryCost(master + shared, marginal, THREAD_BYTES, 0.95, 1.1, measured=True)


def own_bytes(server: Server | None) -> int:
    """What the app itself uses now, which counts as free to it."""
    if server is None:
        return 0
    workers = sum(worker.pss_bytes or 0 for worker in server.workers)
    own_master = all(worker.pid != server.pid for worker in server.workers)
    return workers + (server.master_pss_bytes or 0 if own_master else 0)


def memory_budget(facts: Facts, server: Server | None, asked: int | None, where: str) -> Amount:
    """Bytes to plan with: what was asked for, else 0.9 of what is left at every limit.

    A limit's use holds the app's own where the facts are those of one of its processes.
    """
    if asked is not None:
        return Amount(asked, where)
    own = own_bytes(server)
    inside = server is not None and facts.pid in {server.pid, *(w.pid for w in server.workers)}
    rooms = [
        (_room(limit, own if inside else 0), limit.source)
        for limit in facts.memory.limits
        if limit.kind != "total" and limit.value is not None
    ]
    rooms.append((facts.memory.available_bytes + own, "/proc/meminfo"))
    left, source = min(rooms)
    return Amount(int(BUDGET_RATIO * left), f"{BUDGET_RATIO} of what {source} leaves")


def _room(limit: Limit, own: int) -> float:
    value = limit.value or 0
    return max(0.0, min(value, value - (limit.used_bytes or 0) + own))


def cpu_budget(facts: Facts, asked: float | None, where: str) -> Amount:
    """CPUs to plan with: what was asked for, else what the host's limits leave."""
    return (
        Amount(asked, where)
        if asked is not None
        else Amount(facts.cpu.effective, facts.cpu.binding)
    )


def boot_cpu(server: Server | None, measurement: Measurement | None) -> tuple[float, bool]:
    """CPU seconds a worker takes to boot, and whether that was measured."""
    seen = [w.boot_cpu_s for w in workers_of(server, measurement) if w.boot_cpu_s]
    return (max(seen), True) if seen else (ASSUMED_BOOT_CPU_S, False)


def confidence(
    demand: Demand | None, plan: Plan, cost: MemoryCost, measurement: Measurement | None
) -> Literal["high", "medium", "low"]:
    """High only for the class that was measured, with a verdict and a narrow interval."""
    if demand is None or measurement is None:
        return "low"
    narrow = demand.cpu_high_s - demand.cpu_low_s <= 0.2 * demand.cpu_s
    same = demand.measured_as is plan.config.worker_class
    told = measurement.limiter.verdict not in {"unknown", "client"}
    return "high" if narrow and same and told and cost.measured else "medium"


def not_measured(measurement: Measurement | None, demand: Demand | None) -> list[Unknown]:
    """What stays unknown for want of a measurement that carries it."""
    if measurement is None:
        return [
            Unknown(
                what="throughput and latency",
                why="nothing was measured: workers, class and threads are a fall-back",
                remedy="Run advisor recommend URL with a route of the running app.",
            )
        ]
    out = []
    if demand is not None and demand.cpu_s < 0.9 * measured_cpu(measurement):
        out.append(
            Unknown(
                what="CPU per request on busy workers",
                why=f"measured while the CPU mostly idled ({duration(measured_cpu(measurement))}), "
                f"where a request costs more; planned with {duration(demand.cpu_s)}",
                remedy="Measure again once the app runs as recommended.",
            )
        )
    if demand is None:
        out.append(
            Unknown(
                what="throughput and latency",
                why="the measurement has no usable CPU and waiting time a request: "
                "workers, class and threads are a fall-back",
                remedy="Run advisor recommend URL on the app's own host, where its processes show.",
            )
        )
    if measurement.limiter.verdict in {"unknown", "client"}:
        out.append(
            Unknown(
                what="what limits the app",
                why=measurement.limiter.why,
                remedy="Measure again when the host is quiet.",
            )
        )
    return [*out, *measurement.unknown]


def measured_cpu(measurement: Measurement) -> float:
    """CPU seconds a request as measured, 0 where it was not."""
    return measurement.cpu_per_request_s.value if measurement.cpu_per_request_s else 0.0
