"""The exhaustive search that every pick is compared with: class x workers x threads.

A line of the grid is one class (of gthread: one number of workers) in growing sizes; it ends
where more cannot help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.regret.points import SLACK, UVICORN_WORKER, Config, serves, within_budget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.regret.apps import Case
    from benchmarks.regret.points import Point

SIZES = (1, 2, 3, 4, 5, 8, 12, 16, 24, 32, 48, 64)
THREADED = (1, 2, 3, 4)
THREADS = (4, 8, 16, 32, 64)
# A gain within the noise is none.
GAIN = 1.02
SATURATED = 0.92
# Sizes in a row without a gain that end a line: launches differ, so one proves nothing; with CPU
# left, more workers may still be worth a try.
STALE = {True: 2, False: 3}
# Raced again in each run.
FINALISTS = 3


def lines(interface: str) -> list[list[Config]]:
    """The lines of an interface's grid."""
    if interface == "asgi":
        return [[Config(name, size) for size in SIZES] for name in (UVICORN_WORKER, "asgi")]
    threaded = [[Config("gthread", size, each) for each in THREADS] for size in THREADED]
    return [[Config("sync", size) for size in SIZES], *threaded]


def finished(seen: Sequence[Point], case: Case) -> bool:
    """Whether a line has ended: over the budget, or no gain any more."""
    if not seen:
        return False
    if not within_budget(seen[-1], case):
        return True
    best, stale = 0.0, 0
    for point in seen:
        stale = 0 if point.rps > GAIN * best else stale + 1
        best = max(best, point.rps)
    return stale >= STALE[seen[-1].busy_ratio >= SATURATED]


def search(case: Case, measured: Callable[[Config], Point]) -> Iterator[Point]:
    """Every point of a case's grid; `measured` launches it, or has it from before."""
    for line in lines(case.interface):
        seen: list[Point] = []
        for config in line:
            if finished(seen, case):
                break
            seen.append(measured(config))
            yield seen[-1]


def finalists(points: Sequence[Point], case: Case) -> list[Config]:
    """The best three of those that serve, and the smallest that is as good as the best.

    The last is what our memory is compared with, so one lucky launch must not decide it.
    """
    ordered = sorted(
        (point for point in points if serves(point, case)), key=lambda p: p.rps, reverse=True
    )
    near = [point for point in ordered if point.rps >= (1 - SLACK) * ordered[0].rps]
    smallest = sorted(near, key=lambda point: point.pss_bytes)[:1]
    return list(dict.fromkeys(point.config for point in (*ordered[:FINALISTS], *smallest)))
