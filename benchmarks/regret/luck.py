"""What luck alone does to the figures: the best of each race, raced again on paper. Pure.

Launches of one configuration differ by more than most configurations do, and medians of a few are
held against the highest of several. So a pick that nobody could better stands below 1 as well, and
which others are "as good" changes from race to race. The launches tell how far: they are drawn
again with replacement (the bootstrap: Efron and Tibshirani 1993, chapter 6), and the configuration
that the race itself calls the smallest as good is judged by each draw as ours is by the race.
"""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.regret.points import SLACK, levelled, middle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.regret.points import Config, Point

DRAWS = 1000


@dataclass(frozen=True)
class Luck:
    """How the right pick of every race stands as all are raced again.

    `share` and `memory_ratio` are the worst over the races, in the middle one of the draws;
    `share_kept` and `memory_kept` in how many of all draws (0 to 1) the worst keeps its limit.
    """

    share: float
    memory_ratio: float
    share_kept: float
    memory_kept: float


def luck(
    races: Sequence[Mapping[Config, Sequence[Point]]], *, least_share: float, most_memory: float
) -> Luck:
    """Of `races`, each the launches of its configurations, at least one answered."""
    draw = random.Random(1)  # noqa: S311 - one table is the same each time it is printed
    known = [_Race.of(race) for race in races]
    worst = [
        (min(share for share, _ in seen), max(ratio for _, ratio in seen))
        for seen in ([race.again(draw) for race in known] for _ in range(DRAWS))
    ]
    shares, ratios = zip(*worst, strict=True)
    return Luck(
        share=statistics.median(shares),
        memory_ratio=statistics.median(ratios),
        share_kept=sum(each >= least_share for each in shares) / DRAWS,
        memory_kept=sum(each <= most_memory for each in ratios) / DRAWS,
    )


@dataclass(frozen=True)
class _Race:
    """The medians of each configuration and its launches, the right pick, how launches deviate.

    A median's own launches lie closer to it than the truth does: luck is understated.
    """

    medians: dict[Point, int]
    deviations: tuple[float, ...]
    right: Point

    @classmethod
    def of(cls, raced: Mapping[Config, Sequence[Point]]) -> _Race:
        level = [points for points in levelled(raced).values() if points]
        medians = [middle(points) for points in level]
        return cls(
            medians={median: len(points) for median, points in zip(medians, level, strict=True)},
            deviations=tuple(
                point.rps / median.rps
                for median, points in zip(medians, level, strict=True)
                for point in points
                if median.rps > 0
            ),
            right=_smallest({median: median.rps for median in medians}),
        )

    def again(self, draw: random.Random) -> tuple[float, float]:
        """The right pick's share of the best, and its memory over the smallest as good."""
        rps = {
            median: median.rps * statistics.median(draw.choices(self.deviations, k=launches))
            for median, launches in self.medians.items()
        }
        share = rps[self.right] / max(rps.values())
        return share, self.right.pss_bytes / _smallest(rps).pss_bytes


def _smallest(rps: Mapping[Point, float]) -> Point:
    """The one that takes the least memory, of those that serve as much as the best."""
    best = max(rps.values())
    return min((p for p in rps if rps[p] >= (1 - SLACK) * best), key=lambda p: p.pss_bytes)
