"""What a configuration (class, workers, threads) of a measured app can serve.

A request takes CPU, waits beside the CPU, and may block an event loop. A worker's Python code
runs under one GIL, so on one core at a time; all workers share `cores`.

- sync: one request in a worker, which closes the connection after each response.
- gthread: `threads` requests in a worker; a blocked thread waits like any other.
- event loops: any number of requests in a worker, but computing and blocking take turns in
  the loop's one thread.

Kept-alive connections stay with the worker that accepted them, so how work spreads is luck.
Two exact results bracket it: *pooled*, every worker takes what it can, and *pinned*, one worker
holds every connection. FACTS: 40 ms of waiting under 64 connections gave 384 requests/s on
gthread 2 x 16 (pinned 385, pooled 771) and 1,021 on 2 x 32 (771 and 1,542); eight loops blocked
for 20 ms gave 244, and 387 behind nginx (50 and 400). So a busy worker is seldom given more,
but one whose threads are all waiting is: it accepts as if it were idle. A third result says
what that costs, *crowded*: the threads of one worker, the CPU of all. The value is their mean
with weights fitted by hand to those few figures, not yet proved on others; the interval is the
bracket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from advisor.model.queueing import closed_throughput, wait_quantile

# Above this utilisation a tail is not predicted: Allen-Cunneen's error doubles there.
TAIL_UTILISATION = 0.9


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """How a Gunicorn worker class serves.

    `cost_s` is CPU a request beyond the cheapest class of the same interface, `handover_s` the
    time a worker is held by it beyond its CPU. Until a host is calibrated they come from null
    apps (UvicornWorker 11.4k requests/s, asgi 10.7k). Threads save the connections that sync
    opens anew, and pay as much for handing requests over (2 workers of sync 6,287, 3 x 16
    threads 8,256); but they take turns at the interpreter, so one worker serves less than its
    CPU would allow (2,400 against sync's 4,864; a page of 769 µs: 1,155).
    """

    name: str
    interface: Literal["asgi", "wsgi"]
    kind: Literal["one", "threads", "loop"]
    cost_s: float
    handover_s: float = 0.0


SYNC = WorkerClass("sync", "wsgi", "one", 0.0)
GTHREAD = WorkerClass("gthread", "wsgi", "threads", 0.0, 0.0001)
UVICORN_WORKER = WorkerClass("uvicorn_worker.UvicornWorker", "asgi", "loop", 0.0)
ASGI = WorkerClass("asgi", "asgi", "loop", 0.000006)
# A plain Uvicorn runs the same loop and protocol code as its Gunicorn worker.
CLASSES = {
    "sync": SYNC,
    "gthread": GTHREAD,
    "uvicorn_worker.UvicornWorker": UVICORN_WORKER,
    "uvicorn.workers.UvicornWorker": UVICORN_WORKER,
    "uvicorn": UVICORN_WORKER,
    "asgi": ASGI,
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request takes, in seconds, as measured under `measured_as`.

    `cpu_low_s` and `cpu_high_s` bound the CPU; `wait_s` passes off the CPU without holding an
    event loop, `blocked_s` off the CPU while holding it. `ceiling_rps` is what the app reached
    where something downstream stopped it, `slots` how many requests one worker's event loop
    takes on at once where a limit in the app's code (a thread limiter, a pool) stops it.
    `wake_s` is CPU that was measured and taken off, because a busy worker does not wake up for
    each request; one that serves a single request at a time always does.
    """

    cpu_s: float
    cpu_low_s: float
    cpu_high_s: float
    wait_s: float
    blocked_s: float = 0.0
    measured_as: WorkerClass | None = None
    ceiling_rps: float | None = None
    slots: int | None = None
    wake_s: float = 0.0

    def under(self, worker_class: WorkerClass) -> Demand:
        """The same request under another class, priced by the table of class costs.

        At least a fifth of what was measured remains: the table is additive, the app's own code
        does not vanish.
        """
        extra = worker_class.cost_s - self.measured_as.cost_s if self.measured_as else 0.0
        if worker_class.kind == "one":
            extra += self.wake_s
        low, mid, high = (
            max(cpu + extra, cpu / 5) for cpu in (self.cpu_low_s, self.cpu_s, self.cpu_high_s)
        )
        return replace(
            self, cpu_s=mid, cpu_low_s=low, cpu_high_s=high, measured_as=worker_class, wake_s=0
        )

    def mended(self) -> Demand:
        """The same request once its blocking calls are awaited and its own limit is raised."""
        return replace(self, wait_s=self.wait_s + self.blocked_s, blocked_s=0.0, slots=None)

    @property
    def total_s(self) -> float:
        """Seconds one request takes when it is alone."""
        return self.cpu_s + self.wait_s + self.blocked_s


@dataclass(frozen=True, slots=True)
class Configuration:
    """A worker class, how many workers, and threads in each."""

    worker_class: WorkerClass
    workers: int
    threads: int = 1

    def slots(self, demand: Demand, concurrency: int) -> int:
        """Requests of `demand` that one worker can hold, of `concurrency` in flight."""
        most = demand.slots if self.worker_class.kind == "loop" else self.threads
        return min(most or concurrency, concurrency)


@dataclass(frozen=True, slots=True)
class Bracket:
    """A value between the bounds `low` and `high`."""

    value: float
    low: float
    high: float


def _station(
    config: Configuration, cpu_s: float, demand: Demand, cores: float
) -> tuple[float, float, float]:
    """Delay (s), time a worker is held by a request (s), and requests/s that the CPU allows."""
    if config.worker_class.kind == "loop":
        return demand.wait_s, cpu_s + demand.blocked_s, cores / cpu_s
    return demand.wait_s + demand.blocked_s, cpu_s + config.worker_class.handover_s, cores / cpu_s


def _throughput(
    config: Configuration, demand: Demand, cores: float, concurrency: int, inside: int
) -> float:
    delay, held, cpu_bound = _station(config, demand.cpu_s, demand, cores)
    inside = min(concurrency, inside)
    return closed_throughput(inside, delay, lambda j: min(min(j, config.workers) / held, cpu_bound))


def pooled(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when any idle slot takes the next of `concurrency` requests in flight."""
    slots = config.workers * config.slots(demand, concurrency)
    return _throughput(config, demand, cores, concurrency, slots)


def crowded(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when only one worker's slots fill; sync's processes are each other's."""
    if config.worker_class.kind == "one":
        return pooled(config, demand, cores, concurrency)
    return _throughput(config, demand, cores, concurrency, config.slots(demand, concurrency))


def expected(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s as connections are likely to spread; `demand` is priced for the class."""
    parts = zip((0.2125, 0.6375, 0.15), (pooled, crowded, pinned), strict=True)
    rate = sum(weight * result(config, demand, cores, concurrency) for weight, result in parts)
    return min(rate, demand.ceiling_rps or float("inf"))


def pinned(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when one worker holds all connections; sync's close, so nothing is pinned."""
    if config.worker_class.kind == "one":
        return pooled(config, demand, cores, concurrency)
    return pooled(replace(config, workers=1), demand, cores, concurrency)


def throughput(config: Configuration, demand: Demand, cores: float, concurrency: int) -> Bracket:
    """Requests/s at `concurrency` in flight: what is expected, between pinned and pooled.

    The bracket also holds the interval of the measured CPU. `cores` is CPUs, fractions allowed.
    """
    demand = demand.under(config.worker_class)
    ceiling = demand.ceiling_rps or float("inf")

    def capped(rate: float) -> float:
        return min(rate, ceiling)

    best = replace(demand, cpu_s=demand.cpu_low_s)
    worst = replace(demand, cpu_s=demand.cpu_high_s)
    middle = expected(config, demand, cores, concurrency)
    return Bracket(
        middle,
        min(middle, capped(pinned(config, worst, cores, concurrency))),
        max(middle, capped(pooled(config, best, cores, concurrency))),
    )


def response_at_rate(
    quantile: float, config: Configuration, demand: Demand, cores: float, rate_rps: float
) -> Bracket | None:
    """The `quantile` of response time (s) under Poisson arrivals at `rate_rps`.

    Low is a single queue in front of all workers (M/M/c), high a random split over them, each
    with a queue of its own. None above 90 % utilisation, where tails are not predicted.
    """
    demand = demand.under(config.worker_class)
    together = _response(quantile, config, demand, cores, rate_rps)
    share = replace(config, workers=1)
    apart = _response(quantile, share, demand, cores / config.workers, rate_rps / config.workers)
    if config.worker_class.kind == "one":
        apart = together
    if together is None or apart is None:
        return None
    high = max(together, apart)
    return Bracket((together + high) / 2, together, high)


def _response(
    quantile: float, config: Configuration, demand: Demand, cores: float, rate_rps: float
) -> float | None:
    _, held, cpu_bound = _station(config, demand.cpu_s, demand, cores)
    capacity = min(config.workers / held, cpu_bound)
    servers = max(1, int(capacity * held + 1e-9))
    stations = [(servers, servers / capacity)]
    if config.worker_class.kind != "loop":
        stations.append((config.workers * config.threads, demand.total_s))
    queued = 0.0
    for count, service_s in stations:
        if rate_rps * service_s > TAIL_UTILISATION * count:
            return None
        queued += wait_quantile(quantile, rate_rps, count, service_s) or 0.0
    return demand.total_s + queued
