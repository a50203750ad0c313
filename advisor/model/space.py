"""The configurations that are worth a look: classes, threads, and workers up to what is useful."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.model.capacity import expected, woken
from advisor.model.service import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from advisor.model.classes import WorkerClass
    from advisor.model.constraints import Constraints, Pins
    from advisor.model.service import Demand

# Fewer were never measured to be of use: the worker's own thread has to wait for one of them.
THREADS = (4, 8, 16, 32, 64, 128, 256)
# Connections fall unevenly: so many times the workers that an even spread would fill.
UNEVEN = 5


def configurations(
    classes: tuple[WorkerClass, ...], demand: Demand, limits: Constraints, pins: Pins
) -> Iterator[Configuration]:
    """Every joint choice of the classes, what is pinned as it is pinned."""
    for worker_class in classes:
        for threads in _threads(worker_class, limits, pins):
            most = useful(Configuration(worker_class, 1, threads), demand, limits)
            for workers in [pins.workers] if pins.workers else range(1, most + 1):
                yield Configuration(worker_class, workers, threads)


def _threads(worker_class: WorkerClass, limits: Constraints, pins: Pins) -> Iterable[int]:
    if worker_class.kind != "threads":
        return () if pins.threads and pins.threads > 1 and worker_class.kind == "one" else (1,)
    if pins.threads:
        return (pins.threads,)
    # As many as a database with few connections bears, where that is none of the usual numbers.
    most = limits.database // 2 if limits.database is not None else THREADS[-1]
    return sorted({*(t for t in THREADS if t <= most), min(max(2, most), THREADS[-1])})


def smallest(classes: tuple[WorkerClass, ...], pins: Pins) -> Configuration:
    """The least that could run at all."""
    return Configuration(classes[0], pins.workers or 1, pins.threads or 1)


def useful(config: Configuration, demand: Demand, limits: Constraints) -> int:
    """Workers beyond which neither a core nor a slot is gained, as unevenly as they may fill."""
    demand = demand.under(config.worker_class)
    held = demand.cpu_s + demand.blocked_s if config.worker_class.kind == "loop" else demand.cpu_s
    cores = math.ceil(limits.cores * held / demand.cpu_s - 1e-9)
    slots = config.slots(demand, limits.concurrency)
    spare = 1 if config.worker_class.kind == "one" else UNEVEN
    most = spare * max(cores, math.ceil(limits.concurrency / slots))
    return max(1, min(most, limits.concurrency))


def rate_of(config: Configuration, demand: Demand, limits: Constraints) -> float:
    """The middle of the predicted throughput, requests a second."""
    paid = woken(config, demand, limits.cores, limits.concurrency)
    return expected(config, paid, limits.cores, limits.concurrency)


def one_more(config: Configuration) -> Configuration:
    """The same with one worker more."""
    return replace(config, workers=config.workers + 1)
