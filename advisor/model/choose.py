"""The joint choice of worker class, workers and threads under every constraint at once.

Bytes, seconds, CPUs (fractions allowed) and requests a second throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from advisor.model.capacity import throughput
from advisor.model.classes import OFFERED, named
from advisor.model.constraints import broken, nothing
from advisor.model.queueing import bound
from advisor.model.response import response_at_rate
from advisor.model.service import Configuration
from advisor.model.space import configurations, one_more, rate_of, smallest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.model.classes import WorkerClass
    from advisor.model.constraints import Constraints, Pins
    from advisor.model.memory import MemoryCost
    from advisor.model.service import Bracket, Demand

# Throughput that is given up for less memory.
SLACK = 0.02
# Throughput that predictions cannot tell apart, between kinds of workers and along one kind.
ALIKE, ALIKE_KIN = 0.06, 0.03
FALLBACK_THREADS = 8

Binding = Literal[
    "cpu",
    "concurrency",
    "downstream",
    "targets",
    "pins",
    "memory",
    "boot_cpu",
    "database",
    "descriptors",
    "queue",
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration with the middle of its predicted throughput and its memory."""

    config: Configuration
    rps: float | None
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen configuration, what it should give, and what stopped growth.

    `fewer`, `more` have one worker less and more, `other` are the best of other classes and
    half and double the threads. `meets_targets` is None where no rate was asked for.
    """

    config: Configuration
    concurrency: int
    binding: Binding
    throughput: Bracket | None
    response: Bracket | None
    p99: Bracket | None
    memory: Bracket
    needed_bytes: int
    fewer: Candidate | None
    more: Candidate | None
    other: tuple[Candidate, ...]
    meets_targets: bool | None = None


def choose(
    interface: str,
    demand: Demand,
    cost: MemoryCost,
    limits: Constraints,
    pins: Pins,
    *,
    classes: tuple[WorkerClass, ...] = (),
) -> Plan:
    """The smallest configuration as good as the best (`_pick`), or that meets the targets.

    `classes` are those on offer; Gunicorn's for the interface where none are given. Raises
    `NothingFeasible`, with the arithmetic, when a limit leaves no configuration.
    """
    classes = _classes(interface, classes, pins)

    def candidate(config: Configuration) -> Candidate:
        rps = rate_of(config, demand, limits)
        return Candidate(config, rps, round(cost.steady(config).value))

    feasible = [
        candidate(config)
        for config in configurations(classes, demand, limits, pins)
        if broken(config, cost, limits, pins) is None
    ]
    if not feasible:
        raise nothing(smallest(classes, pins), cost, limits, pins)

    meeting = [found for found in feasible if _meets(found, demand, limits)]
    wanted = limits.rate_rps is not None
    chosen = (min(meeting, key=_size) if meeting else _pick(feasible, demand, limits)).config

    fewer = replace(chosen, workers=chosen.workers - 1) if chosen.workers > 1 else None
    rate = limits.rate_rps
    served = throughput(chosen, demand, limits.cores, limits.concurrency).missed()
    return Plan(
        config=chosen,
        concurrency=limits.concurrency,
        binding=_binding(chosen, feasible, demand, cost, limits, pins, met=bool(meeting)),
        throughput=served,
        response=_response(chosen, demand, limits, served),
        p99=response_at_rate(0.99, chosen, demand, limits.cores, rate) if rate else None,
        memory=cost.steady(chosen),
        needed_bytes=cost.needed(chosen),
        fewer=candidate(fewer) if fewer else None,
        more=candidate(one_more(chosen)),
        other=tuple(_others(chosen, feasible)),
        meets_targets=bool(meeting) if wanted else None,
    )


def _classes(
    interface: str, offered: tuple[WorkerClass, ...], pins: Pins
) -> tuple[WorkerClass, ...]:
    """The pinned class alone, as it is offered where it is; else all that are offered."""
    offered = offered or OFFERED["gunicorn", interface]
    if pins.worker_class is None:
        return offered
    pinned = named(pins.worker_class, interface)
    same = [each for each in offered if pinned and each.name == pinned.name]
    return tuple(same) or ((pinned,) if pinned else offered)


def _pick(feasible: list[Candidate], demand: Demand, limits: Constraints) -> Candidate:
    """The smallest within 2 % of the best, or a far smaller one that may well be as good.

    The model misses by more than 2 %, so a few per cent must not buy much memory. Of the same
    kind and threads: two thirds of the memory, and within 3 %. Of another: half of it, within
    6 %, and an interval that reaches the best: 47 sync workers served 2,115 requests/s of a
    Django page with 1,151 MB, 3 x 32 threads 2,164 with 101 MB.
    """
    best = max(map(_rps, feasible))
    good = min((c for c in feasible if _rps(c) >= (1 - SLACK) * best), key=_size)
    for found in sorted(feasible, key=_size):
        same = _kind(found.config) == _kind(good.config)
        smaller = found.memory_bytes <= good.memory_bytes * (2 / 3 if same else 1 / 2)
        near = _rps(found) >= (1 - (ALIKE_KIN if same else ALIKE)) * best
        if smaller and near:
            reach = throughput(found.config, demand, limits.cores, limits.concurrency).high
            if reach >= (1 - SLACK) * best:
                return found
    return good


def fall_back(
    interface: str,
    cost: MemoryCost,
    limits: Constraints,
    pins: Pins,
    *,
    classes: tuple[WorkerClass, ...] = (),
) -> Plan:
    """A configuration without a measurement: one worker a whole CPU, fewer where a limit is short.

    Rounded down, because a worker beyond the quota is throttled (automaxprocs#98), and never
    to none (puma#3827). WSGI gets 8 threads a worker. Raises `NothingFeasible` as `choose`.
    """
    offered = _classes(interface, classes, pins)
    threaded = [each for each in offered if each.kind == "threads"]
    worker_class = (threaded or offered)[0]
    threads = pins.threads or (FALLBACK_THREADS if threaded else 1)
    whole = max(1, math.floor(limits.cores))
    counts = [pins.workers] if pins.workers else range(whole, 0, -1)
    configs = [Configuration(worker_class, count, threads) for count in counts]
    fitting = [config for config in configs if broken(config, cost, limits, pins) is None]
    if not fitting:
        raise nothing(configs[-1], cost, limits, pins)
    chosen = fitting[0]
    shrunk: Binding = broken(configs[0], cost, limits, pins) or "cpu"
    return Plan(
        config=chosen,
        concurrency=limits.concurrency,
        binding="pins" if pins.workers else shrunk,
        throughput=None,
        response=None,
        p99=None,
        memory=cost.steady(chosen),
        needed_bytes=cost.needed(chosen),
        fewer=None,
        more=None,
        other=(),
    )


def _response(
    config: Configuration, demand: Demand, limits: Constraints, served: Bracket
) -> Bracket | None:
    """The median response: at the rate asked for, else N / X of a closed load.

    N / X is the mean, which right-skewed response times keep at or above their median; so the
    low end is a request that meets no queue.
    """
    if limits.rate_rps is not None:
        return response_at_rate(0.5, config, demand, limits.cores, limits.rate_rps)
    if min(served.low, served.value) <= 0:
        return None
    alone = demand.under(config.worker_class).total_s
    mean, longest, shortest = (
        limits.concurrency / rate for rate in (served.value, served.low, served.high)
    )
    return replace(served, value=mean, low=min(alone, shortest), high=longest)


def _meets(found: Candidate, demand: Demand, limits: Constraints) -> bool:
    if limits.rate_rps is None or _rps(found) < limits.rate_rps:
        return False
    if limits.p99_s is None:
        return True
    p99 = response_at_rate(0.99, found.config, demand, limits.cores, limits.rate_rps)
    return p99 is not None and p99.high <= limits.p99_s


def _binding(
    chosen: Configuration,
    feasible: list[Candidate],
    demand: Demand,
    cost: MemoryCost,
    limits: Constraints,
    pins: Pins,
    *,
    met: bool,
) -> Binding:
    """The constraint that stopped growth: what keeps the largest of its kind from one more."""
    if pins.workers is not None:
        return "pins"
    if met:
        return "targets"
    kin = [found.config for found in feasible if _kin(found.config, chosen)]
    largest = max(kin, key=lambda config: config.workers)
    more = one_more(largest)
    gained = rate_of(more, demand, limits)
    if gained > rate_of(largest, demand, limits) * (1 + SLACK / 10):
        stopped = broken(more, cost, limits, pins)
        if stopped is not None:
            return stopped
    priced = demand.under(chosen.worker_class)
    if demand.ceiling_rps and gained >= (1 - SLACK) * demand.ceiling_rps:
        return "downstream"
    cpu_rps = limits.cores / priced.cpu_s
    alone = bound(limits.concurrency, priced.total_s, 0.0, math.inf)
    return "cpu" if cpu_rps <= alone * (1 + SLACK) else "concurrency"


def _others(chosen: Configuration, feasible: list[Candidate]) -> Iterator[Candidate]:
    """Half and double the threads, and the best of each other class."""
    for found in feasible:
        config = found.config
        same = (config.worker_class, config.workers) == (chosen.worker_class, chosen.workers)
        if same and config.threads in {chosen.threads // 2, chosen.threads * 2}:
            yield found
    for name in dict.fromkeys(found.config.worker_class.name for found in feasible):
        if name != chosen.worker_class.name:
            rivals = [found for found in feasible if found.config.worker_class.name == name]
            best = max(map(_rps, rivals))
            yield min((r for r in rivals if _rps(r) >= (1 - SLACK) * best), key=_size)


def _kin(one: Configuration, other: Configuration) -> bool:
    return (one.worker_class, one.threads) == (other.worker_class, other.threads)


def _kind(config: Configuration) -> tuple[str, int]:
    return config.worker_class.kind, config.threads


def _rps(found: Candidate) -> float:
    return found.rps or 0.0


def _size(found: Candidate) -> tuple[int, int, int]:
    return found.memory_bytes, found.config.workers, found.config.threads
