"""From what was watched to the measurement document. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from advisor.documents import (
    MEASUREMENT_SCHEMA,
    Balance,
    Cost,
    Estimate,
    Measurement,
    Observed,
    RouteResult,
    Target,
    ThreadDemand,
    Throughput,
    Unknown,
    Worker,
)
from advisor.probe.analysis import statistics
from advisor.probe.analysis.growth import growth
from advisor.probe.analysis.workers import balance, worker_memory
from advisor.probe.passive.gaps import QUEUES_FROM, gaps
from advisor.probe.passive.judge import judge
from advisor.probe.passive.mix import MOST, template
from advisor.probe.passive.tally import SERVER_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from advisor.probe.passive.entry import Entry
    from advisor.probe.passive.seen import Seen
    from advisor.probe.sample.memory import Holdings

# nginx and most others log whole milliseconds.
RESOLUTION_S = 0.001


def measurement(
    seen: Seen,
    *,
    target: Target,
    holdings: Holdings | None,
    cost: Cost,
    unknown: Iterable[Unknown],
) -> Measurement:
    """The document of one observation; the server and `holdings` are as they were after it."""
    server = seen.server
    shared, denied = worker_memory(server, holdings) if server and holdings else (None, [])
    grown = growth(seen.grown, workers=len(server.workers)) if server else None
    demand, wait, blocked = (of(seen) for of in (cpu_per_request, wait_per_request, blocked_time))
    limiter = judge(seen)
    return Measurement(
        schema_=MEASUREMENT_SCHEMA,
        mode="observe",
        target=target,
        limiter=limiter,
        cpu_per_request_s=demand,
        wait_per_request_s=wait,
        blocked_per_request_s=blocked,
        latency_s=latencies(seen.entries),
        throughput=Throughput(knee_rps=None, steps=[]),
        workers=[_with_share(worker, seen) for worker in server.workers] if server else [],
        memory_growth_bytes_per_request=grown.estimate if grown else None,
        http=[],
        cost=cost,
        unknown=[
            *unknown,
            *denied,
            *([grown.unknown] if grown and grown.unknown else []),
            *gaps(seen, demand=demand, wait=wait, blocked=blocked, limiter=limiter),
        ],
        threads=threads(seen),
        routes=routes(seen),
        worker_memory=shared,
        balance=_balance(seen),
        observed=Observed(
            source=seen.source.where,
            kind=seen.source.kind,
            format=seen.source.format,
            requests=seen.requests,
            errors=seen.load.errors,
            rate_rps=round(seen.rate_rps, 3),
            upstream_time=seen.timed,
        ),
    )


def _requests(seen: Seen) -> list[int]:
    return [window.completed + window.errors for window in seen.load.windows]


def cpu_per_request(seen: Seen) -> Estimate | None:
    """D = busy CPU / completions (Denning and Buzen 1978), over windows of real traffic.

    All that the server's processes burn is in it, their background work too: under real traffic
    there is no idle window to take it off by. Requests that failed cost CPU and count. A
    request is counted in the window in which it ended: what shifts over the edge of a window
    widens the interval, and does not bias the ratio of the sums.
    """
    if seen.server is None or not seen.requests:
        return None
    used = [window.server_cpu_s for window in seen.load.windows]
    return statistics.ratio(used, _requests(seen), n=seen.requests)


def threads(seen: Seen) -> ThreadDemand | None:
    """The same of the workers' main threads, and of all others; null where not all were told."""
    windows = seen.load.windows
    if seen.server is None or not seen.requests or any(w.main_cpu is None for w in windows):
        return None
    main = [w.main_cpu or 0.0 for w in windows]
    rest = [w.pool_cpu_s or 0.0 for w in windows]
    parts = [statistics.ratio(part, _requests(seen), n=seen.requests) for part in (main, rest)]
    return ThreadDemand(main_s=parts[0], others_s=parts[1]) if parts[0] and parts[1] else None


def wait_per_request(seen: Seen) -> Estimate | None:
    """The app's time by the proxy's clock, less its CPU and its wait for a CPU.

    None where the proxy logs no upstream time (a request's own time has the client's network
    in it), and where requests queue inside the app, which looks the same as waiting.
    """
    if seen.server is None or not seen.timed or not seen.requests:
        return None
    if max(seen.busiest[1], seen.slots_ratio or 0.0) > QUEUES_FROM:
        return None
    waited = [w.latency_sum - w.server_cpu_s - w.run_queue_wait for w in seen.load.windows]
    found = statistics.ratio(waited, _requests(seen), n=seen.requests)
    return _no_surer_than_the_log(found, _times(seen.entries))


def blocked_time(seen: Seen) -> Estimate | None:
    """Seconds a request in which an event loop's thread waits outside its selector.

    None for servers without an event loop, and where the kernel does not tell.
    """
    if seen.event_loops is None or seen.blocked_s is None or not seen.requests:
        return None
    return statistics.ratio(seen.blocked_s, _requests(seen), n=seen.requests)


def latencies(entries: Iterable[Entry]) -> dict[Literal["p50", "p99"], Estimate | None]:
    """Percentiles of the app's times, or of the whole requests' where those are not logged."""
    times = _times(entries)
    return {
        "p50": _no_surer_than_the_log(statistics.percentile(times, 0.5), times),
        "p99": _no_surer_than_the_log(statistics.percentile(times, 0.99), times),
    }


def _times(entries: Iterable[Entry]) -> list[float]:
    seen = tuple(entries)
    upstream = [entry.upstream_s for entry in seen if entry.upstream_s is not None]
    return upstream or [entry.request_s for entry in seen if entry.request_s is not None]


def _no_surer_than_the_log(found: Estimate | None, times: Sequence[float]) -> Estimate | None:
    """An estimate from logged times, wider by a millisecond where the log knows no finer time."""
    if found is None or not all(abs(each - round(each, 3)) < 1e-9 for each in times):
        return found
    low, high = max(0.0, found.low - RESOLUTION_S), found.high + RESOLUTION_S
    return Estimate(value=found.value, low=low, high=high, n=found.n)


def routes(seen: Seen) -> list[RouteResult]:
    """The most frequent routes of GET and HEAD requests, by template; CPU cannot be told apart.

    Where only a sample of the requests was kept, their numbers are scaled up from it.
    """
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in seen.entries:
        if entry.method in {"GET", "HEAD"}:
            groups[template(entry.path)].append(entry)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST]
    scale = seen.requests / len(seen.entries) if seen.entries else 1.0
    return [_route(path, group, len(seen.entries), scale) for path, group in ranked]


def _route(path: str, group: Sequence[Entry], kept: int, scale: float) -> RouteResult:
    found = latencies(group)
    sizes = [entry.bytes for entry in group if entry.bytes is not None]
    return RouteResult(
        path=path,
        weight=round(len(group) / kept, 4),
        requests=round(len(group) * scale),
        errors=round(sum(entry.status >= SERVER_ERROR for entry in group) * scale),
        p50_s=found["p50"].value if found["p50"] else None,
        p99_s=found["p99"].value if found["p99"] else None,
        cpu_per_request_s=None,
        wait_per_request_s=None,
        bytes_per_request=round(sum(sizes) / len(sizes), 1) if sizes else None,
    )


def _balance(seen: Seen) -> Balance | None:
    workers = seen.server.workers if seen.server else []
    return balance({w.pid: seen.load.cores_of(w.pid) for w in workers}, seen.cpu_left)


def _with_share(worker: Worker, seen: Seen) -> Worker:
    """A worker with its share of the CPU that the server used."""
    total = seen.load.server_cores
    share = seen.load.cores_of(worker.pid) / total if total else None
    bounded = None if share is None else round(min(1.0, max(0.0, share)), 3)
    return worker.model_copy(update={"share_ratio": bounded})
