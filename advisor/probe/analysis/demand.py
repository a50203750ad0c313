"""What one request demands: CPU, waiting, blocking, and in which threads. Pure.

All are ratios over windows of load, with block-bootstrap intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Estimate, ThreadDemand
from advisor.probe.analysis import statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.probe.analysis.observation import Load, Observation


# Cores: a server's own housekeeping, one or two thousandths a process, is part of what it costs
# to serve. What burns more is an app's background work, and no request's.
BACKGROUND_CORES = 0.02


def cpu_per_request(seen: Observation, load: Load | None) -> Estimate | None:
    """D = busy CPU / completions (Denning and Buzen 1978), an app's background work taken off."""
    if load is None or seen.server is None or not load.completed:
        return None
    background = seen.idle_cores if seen.idle_cores > BACKGROUND_CORES else 0.0
    return statistics.ratio(
        [w.server_cpu_s - background * w.seconds for w in load.windows],
        [w.completed for w in load.windows],
        n=load.completed,
    )


def cpu_at_the_knee(seen: Observation) -> Estimate | None:
    """The CPU per request that stands for the app: its interval holds another load's figure.

    Another load, by another client or a moment later, differs by more than one load's windows
    show; how much more is taken from the visits to the knee, and from what is known of servers
    as busy as this one.
    """
    load = seen.saturated
    within = cpu_per_request(seen, load)
    if within is None or load is None or seen.server is None:
        return None
    most = seen.most_cores(load)
    utilisation = load.server_cores / most if most else 1.0
    visits = [cpu_per_request(seen, visit) for visit in seen.busiest]
    return statistics.another(
        within,
        [visit.value for visit in visits if visit],
        prior=statistics.between_loads(utilisation, within.value),
    )


def threads(seen: Observation, load: Load | None) -> ThreadDemand | None:
    """The same of the workers' main threads, and of all the others (a thread pool's)."""
    if load is None or seen.server is None or any(w.main_cpu is None for w in load.windows):
        return None
    main = [w.main_cpu or 0.0 for w in load.windows]
    rest = [w.pool_cpu_s or 0.0 for w in load.windows]
    completed = [w.completed for w in load.windows]
    parts = [statistics.ratio(part, completed, n=load.completed) for part in (main, rest)]
    return ThreadDemand(main_s=parts[0], others_s=parts[1]) if parts[0] and parts[1] else None


def wait_per_request(seen: Observation, load: Load | None) -> Estimate | None:
    """Response of a request less its CPU, its wait for a CPU and the client's overhead.

    Off the CPU for whatever reason: awaiting, sleeping, blocking; `blocked_per_request` is
    a part of it. `load` should be one where nothing queues: one connection, or two.
    """
    if seen.server is None or load is None:
        return None
    return statistics.ratio(
        [
            w.latency_sum
            - (w.server_cpu_s - seen.idle_cores * w.seconds)
            - w.run_queue_wait
            - w.completed * seen.client_overhead_s
            for w in load.windows
        ],
        [w.completed for w in load.windows],
        n=load.completed,
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
    return blocked_time(counts, first.seconds, first.completed)


def blocked_time(
    counts: Sequence[tuple[int, int]], seconds: float, completed: int
) -> Estimate | None:
    """Seconds a request that samples (blocked, all) of each worker over a stretch amount to."""
    blocked, samples = sum(c[0] for c in counts), max((c[1] for c in counts), default=0)
    if not samples or not completed:
        return None
    low, high = statistics.proportion(min(blocked, samples), samples)
    per_request = seconds / completed
    return Estimate(
        value=min(blocked, samples) / samples * per_request,
        low=low * per_request if blocked else 0.0,
        high=high * per_request,
        n=samples,
    )
