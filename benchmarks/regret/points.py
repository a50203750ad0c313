"""A configuration, and what was measured of one. Bytes, seconds, requests a second."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.regret.apps import Case

UVICORN_WORKER = "uvicorn_worker.UvicornWorker"
# More of the requests than this without a good answer, and a configuration does not serve.
FAILED_RATIO = 0.01
# As good as the best: what the advisor gives up for less memory.
SLACK = 0.02


@dataclass(frozen=True, order=True)
class Config:
    """A worker class, how many workers, and threads in each."""

    worker_class: str
    workers: int
    threads: int = 1

    def __str__(self) -> str:
        name = self.worker_class.rpartition(".")[2]
        return f"{name} {self.workers}" + (f" x {self.threads}" if self.threads > 1 else "")


@dataclass(frozen=True)
class Point:
    """One launch under load: `rps` counts good answers only.

    `pss_bytes` is what all processes held after the load, `needed_bytes` the same during a
    reload, when as many workers again stand beside them; `rss_bytes` is the largest worker's RSS,
    `busy_ratio` the share of the machine's CPUs (or of the quota) that was used; `piece_s` what a
    fixed piece of work took of CPU meanwhile (benchmarks/pace.py).
    """

    config: Config
    rps: float
    p99_s: float
    failed_ratio: float
    busy_ratio: float
    pss_bytes: int
    needed_bytes: int
    rss_bytes: int
    piece_s: float

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Point:
        """From JSON; `TypeError` where it is no point."""
        return cls(**{**data, "config": Config(**data["config"])})


def levelled(launched: Mapping[Config, Sequence[Point]]) -> dict[Config, list[Point]]:
    """The launches of a race as if the machine had been equally fast in each.

    A virtual machine's cores are fast or slow by turns, by a factor of up to 1.9. How much of that
    a rate follows is fitted to how the launches of each configuration differ among themselves: all
    of it where the CPU is full, nothing where requests wait (analysis of covariance; Cochran 1957).
    A launch of which nothing was answered stays as it is.
    """
    speeds = [math.log(1 / point.piece_s) for points in launched.values() for point in points]
    usual = statistics.fmean(speeds) if speeds else 0.0
    follows = _follows([[p for p in points if p.rps > 0] for points in launched.values()])
    return {
        config: [
            replace(point, rps=point.rps * math.exp(follows * (usual + math.log(point.piece_s))))
            for point in points
        ]
        for config, points in launched.items()
    }


def _follows(groups: Iterable[Sequence[Point]]) -> float:
    """By how much of a change of speed rates change with it, 0 to 1: the slope within groups."""
    both = squares = 0.0
    for points in groups:
        if len(points) < 2:
            continue
        speeds = [math.log(1 / point.piece_s) for point in points]
        rates = [math.log(point.rps) for point in points]
        speed, rate = statistics.fmean(speeds), statistics.fmean(rates)
        both += sum((x - speed) * (y - rate) for x, y in zip(speeds, rates, strict=True))
        squares += sum((x - speed) ** 2 for x in speeds)
    return min(1.0, max(0.0, both / squares)) if squares else 0.0


def middle(points: Sequence[Point]) -> Point:
    """The medians over launches of one configuration; of what is limited, the most."""
    rows = [point.as_data() for point in points]
    medians = {
        name: statistics.median(row[name] for row in rows)
        for name in ("rps", "p99_s", "busy_ratio", "pss_bytes", "rss_bytes", "piece_s")
    }
    most = {name: max(row[name] for row in rows) for name in ("failed_ratio", "needed_bytes")}
    return Point(config=points[0].config, **medians, **most)


def within_budget(point: Point, case: Case) -> bool:
    """Whether memory and database hold it, the surge of a reload included.

    Each thread that serves keeps one connection to the database, and a reload's new workers
    open theirs beside the old ones'; a connection that is refused is a failed request.
    """
    memory = case.memory_bytes is None or point.needed_bytes <= case.memory_bytes
    slots = point.config.workers * point.config.threads
    database = case.connections is None or (
        2 * slots <= case.connections and point.failed_ratio <= FAILED_RATIO
    )
    return memory and database


def serves(point: Point, case: Case) -> bool:
    """Whether it is within the budget, and answers."""
    return within_budget(point, case) and point.failed_ratio <= FAILED_RATIO
