"""What a configuration (class, workers, threads) of a measured app can serve.

Kept-alive connections stay with the worker that accepted them, so how work spreads is luck
(spread.py). Three results: *pooled*, every worker takes what it can; *expected*, the mean over how
connections are likely to fall; *pinned*, the same in an unlucky launch. sync closes its
connections, so its workers are always a pool.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from advisor.model import spread
from advisor.model.lockstep import excess_s, slack
from advisor.model.queueing import closed_throughput
from advisor.model.service import CROWDED, Bracket, station
from advisor.model.waking import awake_s, cold_turn_s, hopping_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.model.service import Configuration, Demand

# How evenly connections fall on workers (see spread.py): fitted to launches through nginx with
# upstream keep-alive (benchmarks/regret/falling.py). The idle loop that wakes first accepts all
# that wait, and only as many wake at a time as there are cores: where requests leave the CPU idle,
# 64 connections kept 2, 3, 4, 6, 6, 9 and 10 of 2, 4, 8, 16, 24, 48 and 64 workers' pools busy on
# two cores, 2 of 2 and 4 of 17 on one. Where they want the CPU, every loop that wakes takes it from
# one that computes, and a few connections: 8 and 16 workers shared as 2.2 and 0.9 do where all
# requests compute, as 1.1 and 0.6 where a quarter of those in flight wait, as 0.5 and 0.4 where
# two fifths do, 24 and 45 then as 0.3 (fitted to some 200 launches; the square of the share that
# wants the CPU fits them best, by far better than how full it is). Busy loops leave more to one
# another, but not evenly: of 64, two of them held 20 to 44 in six launches.
# Threads accept one at a time, and those of a busy worker as readily as others': of 64, two
# workers' held 10 at least in 21 launches (1.4 to 4.8). Loops that hand requests to threads wait
# for the interpreter's lock before they accept: 3, 6 and 12 shared as 40, 8 and 0.7 do. Where
# threads wait, 0.7 stands for what they lose to the interpreter's lock besides, as workers and the
# load share cores: 2 x 32 that held 32 each of requests that wait for 20 ms used 1.35 of two cores,
# 2 x 4 that compute used all. sync's connections close, and the next one goes where a worker is
# idle.
IDLE_LOOPS, FULL_CPU, BUSY_LOOPS = 0.25, 0.3, 32.0
COMPUTING_THREADS, WAITING_THREADS = 2.0, 0.7
UNLUCKY = {"one": math.inf, "loop": 0.2, "threads": 0.001}
# What others' work costs a process whose turn comes after more than so many on a core: a Django
# page took 730 µs on busy threads, 900 of 24 to 47 sync workers; two on one core lost none.
COLD_TURN_S, TURNS_WARM = 0.00015, 2


@lru_cache(maxsize=4096)
def pooled(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when any idle slot takes the next of `concurrency` requests in flight."""
    inside = min(concurrency, config.workers * config.slots(demand, concurrency))
    rate = _inside(config, demand, cores, concurrency, inside)
    return min(rate, _by_turns(config, demand, cores, min(inside, config.workers)))


def _inside(
    config: Configuration, demand: Demand, cores: float, concurrency: int, inside: float
) -> float:
    """Requests/s of so many in slots, a whole number or between two, that share all workers."""
    delay, held, most = station(config, demand, cores, concurrency)
    # Where requests wait for a slot, others fill it while the proxy has theirs in hand.
    slots = config.workers * config.slots(demand, concurrency)
    delay += demand.hop_s if slots >= concurrency else 0.0

    def served(number: int) -> float:
        return closed_throughput(number, delay, lambda j: min(min(j, config.workers) / held, most))

    return _between(served, round(inside, 6))


def _between(served: Callable[[int], float], number: float) -> float:
    """What is served by a number, on the straight line between the whole ones beside it."""
    whole, part = divmod(number, 1)
    less = served(int(whole))
    return less + part * (served(int(whole) + 1) - less) if part else less


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

    return _between(served, busy)


def expected(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s as connections are likely to spread; `demand` is priced for the class."""
    concentration = _concentration(config, demand, cores, concurrency)
    rate = _served(config, demand, cores, concurrency, concentration)
    return min(rate, demand.ceiling_rps or math.inf)


def _served(
    config: Configuration, demand: Demand, cores: float, concurrency: int, concentration: float
) -> float:
    """Requests/s of workers with queues of their own, where those that wait alike stay in step.

    Those that block an event loop do not.
    """
    rate = _spread(config, demand, cores, concurrency, concentration)
    if config.worker_class.kind == "one" or demand.blocked_s or not demand.lockstep:
        return rate
    inside = min(concurrency, config.workers * config.slots(demand, concurrency))
    cores = min(cores, config.workers)
    extra = excess_s(
        inside,
        even_s=inside / pooled(config, demand, cores, concurrency),
        away_s=demand.wait_s + demand.hop_s,
        cpu_s=demand.cpu_s,
        cores=cores,
    )
    extra *= demand.lockstep * slack(rate * demand.cpu_s / cores)
    return inside / (inside / rate + extra)


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
    slots = config.slots(demand, concurrency)
    inside = spread.inside(concurrency, slots, config.workers, concentration)
    most = min(even, _inside(config, demand, cores, concurrency, inside))
    rate = set_right * spread.expected(rates, config.workers, concentration, most / set_right)
    if not demand.blocked_s:
        return rate
    _, held, _ = station(config, demand, cores, concurrency)
    busy = held * set_right * spread.expected(rates, config.workers, concentration)
    return min(rate, _by_turns(config, demand, cores, min(busy, config.workers)))


def pinned(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """Requests/s when few workers hold most connections, as in an unlucky launch."""
    uneven = _served(config, demand, cores, concurrency, UNLUCKY[config.worker_class.kind])
    return min(uneven, expected(config, demand, cores, concurrency))


def _concentration(config: Configuration, demand: Demand, cores: float, concurrency: int) -> float:
    """How evenly connections fall on the workers of a configuration: spread.py's parameter."""
    kind = config.worker_class.kind
    if kind == "one":
        return math.inf
    if kind == "threads":
        away = 1 - demand.cpu_s / (demand.cpu_s + demand.wait_s + demand.blocked_s)
        return COMPUTING_THREADS * math.pow(WAITING_THREADS / COMPUTING_THREADS, away)
    if demand.in_threads:
        return COMPUTING_THREADS
    _, held, _ = station(config, demand, cores, concurrency)
    even = pooled(config, demand, cores, concurrency)
    # One that blocks is away from its socket until the burst of connections is over.
    free = max(1e-3, (1 - even * held / config.workers) * (1 - demand.blocked_s / held))
    # The share of requests in flight that do not wait, by Little's law: they want the CPU.
    pressed = max(0.0, 1 - even * (demand.wait_s + demand.hop_s) / concurrency) ** 2
    awake = (1 - pressed) * IDLE_LOOPS / math.sqrt(config.workers) + pressed * FULL_CPU
    awake *= min(cores, config.workers)
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
    cpu = awake_s(config, priced, cores, concurrency, min(most, config.workers / held))
    cold = _cold_turn(config, priced, cores, cpu)
    if config.worker_class.kind == "threads":
        away = priced.wait_s + priced.blocked_s
        cold = max(cold, hopping_s(priced.wake_s, away, workers=config.workers, cores=cores))
    return priced.dearer(max(cpu - priced.cpu_s, cold))


def _cold_turn(config: Configuration, demand: Demand, cores: float, cpu_s: float) -> float:
    """What a process pays whose turn comes once all others had theirs, though no core rests."""
    paid = cold_turn_s(cpu_s, demand.wake_s, processes=config.workers, cores=cores)
    share = min(1.0, max(1.0, cores) / config.workers)
    own = min(demand.wake_s, COLD_TURN_S) if config.worker_class.kind == "one" else 0.0
    # What a crowd costs is part of it, and counted already.
    crowded = CROWDED * (1 - share) * cpu_s
    return max(0.0, paid * (1 - share) - crowded, own * max(0.0, 1 - TURNS_WARM * share))


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
