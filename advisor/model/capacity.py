"""What a configuration (class, workers, threads) of a measured app can serve.

A request takes CPU, waits beside the CPU, and may block an event loop. A worker's Python code
runs under one GIL, so on one core at a time; all workers share `cores`.

- sync: one request in a worker, which closes the connection after each response.
- gthread: `threads` requests in a worker; a blocked thread waits like any other.
- event loops: any number of requests in a worker, but computing and blocking take turns in
  the loop's one thread.

Kept-alive connections stay with the worker that accepted them, so how work spreads is luck
(spread.py). Three results: *pooled*, every worker takes what it can; *expected*, the mean over how
connections are likely to fall; *pinned*, the same in an unlucky launch. sync closes its
connections, so its workers are always a pool.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from advisor.model import spread
from advisor.model.classes import CALIBRATED_THREADS
from advisor.model.queueing import closed_throughput
from advisor.model.waking import awake_s, cold_turn_s

if TYPE_CHECKING:
    from advisor.model.classes import WorkerClass

# How evenly connections fall on workers (see spread.py): fitted to launches through nginx with
# upstream keep-alive (benchmarks/regret). The idle loop that wakes first accepts all that wait, and
# only as many wake at a time as there are cores: 64 connections kept 2, 3, 4, 6, 6, 9 and 10 of
# 2, 4, 8, 16, 24, 48 and 64 idle workers' pools busy on two cores, 1 of 2 and 4 of 17 on one. Busy
# loops leave more to one another, but not evenly: of 64, two of them held 20 to 44 in six launches.
# Threads accept one at a time, and those of a busy worker as readily as others'. sync's connections
# close, and the next one goes where a worker is idle.
IDLE_LOOPS, BUSY_LOOPS, THREADS = 0.35, 32.0, 0.5
UNLUCKY = {"one": math.inf, "loop": 0.2, "threads": 0.001}
# How much more CPU a request takes as more processes than cores take turns, at most: in a quota of
# half a core 8 workers served 10 % less than one, 5 workers of a waiting app 10 % less than 2.
CROWDED = 0.08
# What each more busy thread adds to a request by handing the interpreter's lock over: one worker
# served 3,690 requests/s of a Flask route with 4 threads, 3,519 with 8, 3,218 with 16, 2,745 with
# 32 (3 µs each); of one that waits, 1,132 with 32 and 1,026 with 64 (1 to 2 µs).
THREAD_SWITCH_S = 0.000002
# What others' work costs a process whose turn comes after more than so many on a core: a Django
# page took 730 µs on busy threads, 900 of 24 to 47 sync workers; two on one core lost none.
COLD_TURN_S, TURNS_WARM = 0.00015, 2
# What a proxy takes for a request over a connection that it opens for it, over one that it keeps:
# nginx 50 to 59 µs and 9 to 21.
OPENED_ANEW = 3.7
# By how much of a prediction nine in ten of what was seen fell short of it and went beyond it, at
# most (benchmarks/prediction, 56 configurations).
SHORT, BEYOND = 0.2, 0.15


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request takes, in seconds, as measured under `measured_as`.

    `cpu_low_s` and `cpu_high_s` bound the CPU; `wait_s` passes off the CPU without holding an
    event loop, `blocked_s` off the CPU while holding it. `ceiling_rps` is what the app reached
    where something downstream stopped it, `slots` how many requests one worker's event loop
    takes on at once where a limit in the app's code (a thread limiter, a pool) stops it.
    `wake_s` is what more CPU one takes after a core's long rest, `nap_s` after any (waking.py).
    `hop_s` is what a proxy in front adds to a response, `proxy_s` the CPU it takes from the same
    cores.
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
    nap_s: float = 0.0
    hop_s: float = 0.0
    proxy_s: float = 0.0

    def under(self, worker_class: WorkerClass) -> Demand:
        """The same request under another class, priced by the table of class costs.

        At least a fifth of what was measured remains: the app's own code does not vanish.
        """
        extra = worker_class.cost_s - self.measured_as.cost_s if self.measured_as else 0.0
        low, mid, high = (
            max(cpu + extra, cpu / 5) for cpu in (self.cpu_low_s, self.cpu_s, self.cpu_high_s)
        )
        return replace(
            self,
            cpu_s=mid,
            cpu_low_s=low,
            cpu_high_s=high,
            measured_as=worker_class,
        )

    def at(self, part: str, seconds: float) -> Demand:
        """The same request with its `cpu`, `wait` or `blocked` at so many seconds."""
        if part == "wait":
            return replace(self, wait_s=seconds)
        if part == "blocked":
            return replace(self, blocked_s=seconds)
        low, high = (each * seconds / self.cpu_s for each in (self.cpu_low_s, self.cpu_high_s))
        return replace(self, cpu_s=seconds, cpu_low_s=low, cpu_high_s=high)

    def dearer(self, extra_s: float) -> Demand:
        """The same request with so much more CPU, in which it has paid for waking up."""
        low, mid, high = (cpu + extra_s for cpu in (self.cpu_low_s, self.cpu_s, self.cpu_high_s))
        return replace(self, cpu_s=mid, cpu_low_s=low, cpu_high_s=high, wake_s=0, nap_s=0)

    def mended(self) -> Demand:
        """The same request once its blocking calls are awaited and its own limit is raised."""
        return replace(self, wait_s=self.wait_s + self.blocked_s, blocked_s=0.0, slots=None)

    @property
    def total_s(self) -> float:
        """Seconds one request takes when it is alone."""
        return self.cpu_s + self.wait_s + self.blocked_s + self.hop_s


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

    def missed(self) -> Bracket:
        """The same, as wide as the model's own error at least: what is printed.

        The bounds above are of what was measured and of luck; the rest (timers, wake-ups, a
        proxy's work) makes apps slower than predicted rather more often than faster.
        """
        low, high = self.value * (1 - SHORT), self.value * (1 + BEYOND)
        return replace(self, low=min(self.low, low), high=max(self.high, high))


def station(
    config: Configuration, demand: Demand, cores: float, concurrency: int
) -> tuple[float, float, float]:
    """Delay (s), time a worker is held by a request (s), and requests/s that the CPU allows."""
    crowd = 1 + CROWDED * (1 - min(1.0, max(1.0, cores) / config.workers))
    anew = OPENED_ANEW if config.worker_class.kind == "one" else 1.0
    most = cores / (demand.cpu_s * crowd + demand.proxy_s * anew)
    if config.worker_class.kind == "loop":
        return demand.wait_s, demand.cpu_s + demand.blocked_s, most
    held = demand.cpu_s + config.worker_class.handover_s
    if config.worker_class.kind == "threads":
        active = min(config.threads, math.ceil(concurrency / config.workers))
        held += THREAD_SWITCH_S * max(0, active - CALIBRATED_THREADS)
    return demand.wait_s + demand.blocked_s, held, most


@lru_cache(maxsize=4096)
def pooled(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when any idle slot takes the next of `concurrency` requests in flight."""
    delay, held, most = station(config, demand, cores, concurrency)
    slots = config.workers * config.slots(demand, concurrency)
    # Where requests wait for a slot, others fill it while the proxy has theirs in hand.
    delay += demand.hop_s if slots >= concurrency else 0.0
    inside = min(concurrency, slots)
    rate = closed_throughput(inside, delay, lambda j: min(min(j, config.workers) / held, most))
    return min(rate, _by_turns(config, demand, cores, min(inside, config.workers)))


def _by_turns(config: Configuration, demand: Demand, cores: float, busy: float) -> float:
    """Requests/s of `busy` loops that block and then want the CPU, a whole number or between two.

    While some are blocked the others share the CPU, so cores idle now and then well before there
    are fewer loops than it takes to fill them. Infinite for what does not block.
    """
    if config.worker_class.kind != "loop" or not demand.blocked_s:
        return math.inf
    _, held, most = station(config, demand, cores, config.workers)
    computing = held - demand.blocked_s

    def served(loops: int) -> float:
        return closed_throughput(loops, demand.blocked_s, lambda j: min(j / computing, most))

    whole, part = divmod(busy, 1)
    less = served(int(whole))
    return less + part * (served(int(whole) + 1) - less) if part else less


def expected(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s as connections are likely to spread; `demand` is priced for the class."""
    concentration = _concentration(config, demand, cores, concurrency)
    rate = _spread(config, demand, cores, concurrency, concentration)
    return min(rate, demand.ceiling_rps or math.inf)


def _spread(
    config: Configuration, demand: Demand, cores: float, concurrency: int, concentration: float
) -> float:
    """Requests/s of workers with queues of their own; at most those of a pool.

    One queue for each worker is taken as exponential, which overstates what waits in it; the pool,
    which is not, sets that right.
    """
    rates = _alone(config, demand, cores, concurrency)
    even = pooled(config, demand, cores, concurrency)
    balanced = spread.expected(rates, config.workers, math.inf)
    set_right = max(1.0, even / balanced)
    rate = set_right * spread.expected(rates, config.workers, concentration, even / set_right)
    if not demand.blocked_s:
        return rate
    _, held, _ = station(config, demand, cores, concurrency)
    busy = held * set_right * spread.expected(rates, config.workers, concentration)
    return min(rate, _by_turns(config, demand, cores, min(busy, config.workers)))


def pinned(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when few workers hold most connections, as in an unlucky launch."""
    uneven = _spread(config, demand, cores, concurrency, UNLUCKY[config.worker_class.kind])
    return min(uneven, expected(config, demand, cores, concurrency))


def _concentration(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """How evenly connections fall on the workers of a configuration: spread.py's parameter."""
    kind = config.worker_class.kind
    if kind == "one":
        return math.inf
    if kind == "threads":
        return THREADS
    _, held, _ = station(config, demand, cores, concurrency)
    even = pooled(config, demand, cores, concurrency)
    # One that blocks is away from its socket until the burst of connections is over.
    free = max(1e-3, (1 - even * held / config.workers) * (1 - demand.blocked_s / held))
    awake = IDLE_LOOPS * min(cores, config.workers) / math.sqrt(config.workers)
    return min(BUSY_LOOPS * cores / config.workers, awake / free**3)


def _alone(config: Configuration, demand: Demand, cores: float, concurrency: int) -> list[float]:
    """Requests/s of one worker that holds 0, 1, ..., `concurrency` connections."""
    delay, held, _ = station(config, demand, cores, concurrency)
    slots = config.slots(demand, concurrency)
    delay += demand.hop_s if slots >= concurrency else 0.0
    return spread.alone(concurrency, delay, max(held, demand.cpu_s / cores), slots)


def woken(config: Configuration, demand: Demand, cores: float, concurrency: int) -> Demand:
    """The demand under the configuration's class, with what waking up adds at this load."""
    priced = demand.under(config.worker_class)
    _, held, most = station(config, priced, cores, concurrency)
    cpu = awake_s(
        priced.cpu_s,
        priced.wake_s,
        priced.nap_s,
        away_s=priced.total_s - priced.cpu_s,
        inside=min(concurrency, config.workers * config.slots(priced, concurrency)),
        workers=config.workers,
        cores=min(cores, config.workers),
        most_rps=min(most, config.workers / held),
    )
    return priced.dearer(max(cpu - priced.cpu_s, _cold_turn(config, priced, cores, cpu)))


def _cold_turn(config: Configuration, demand: Demand, cores: float, cpu_s: float) -> float:
    """What a process pays whose turn comes once all others had theirs, though no core rests."""
    paid = cold_turn_s(cpu_s, demand.wake_s, processes=config.workers, cores=cores)
    share = min(1.0, max(1.0, cores) / config.workers)
    own = min(demand.wake_s, COLD_TURN_S) if config.worker_class.kind == "one" else 0.0
    return max(paid * (1 - share), own * max(0.0, 1 - TURNS_WARM * share))


def throughput(config: Configuration, demand: Demand, cores: float, concurrency: int) -> Bracket:
    """Requests/s at `concurrency` in flight: what is expected, between pinned and pooled.

    The bracket also holds the interval of the measured CPU. `cores` is CPUs, fractions allowed.
    """
    demand = woken(config, demand, cores, concurrency)
    ceiling = demand.ceiling_rps or math.inf
    best = replace(demand, cpu_s=demand.cpu_low_s)
    worst = replace(demand, cpu_s=demand.cpu_high_s)
    middle = expected(config, demand, cores, concurrency)
    return Bracket(
        middle,
        min(middle, pinned(config, worst, cores, concurrency)),
        max(middle, min(ceiling, pooled(config, best, cores, concurrency))),
    )
