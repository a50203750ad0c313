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

from benchmarks.regret.points import SLACK, levelled

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
    """Median rates and memory by configuration, the right pick, and how launches deviate.

    A median's own launches lie closer to it than the truth does: luck is understated.
    """

    rps: dict[Config, float]
    pss_bytes: dict[Config, float]
    launches: dict[Config, int]
    deviations: tuple[float, ...]
    right: Config

    @classmethod
    def of(cls, raced: Mapping[Config, Sequence[Point]]) -> _Race:
        level = {config: points for config, points in levelled(raced).items() if points}
        rps = {config: statistics.median(p.rps for p in points) for config, points in level.items()}
        pss = {
            config: statistics.median(p.pss_bytes for p in points)
            for config, points in level.items()
        }
        answered = {config: points for config, points in level.items() if rps[config] > 0}
        return cls(
            rps=rps,
            pss_bytes=pss,
            launches={config: len(points) for config, points in level.items()},
            deviations=tuple(
                point.rps / rps[config] for config, points in answered.items() for point in points
            ),
            right=_smallest(rps, pss),
        )

    def again(self, draw: random.Random) -> tuple[float, float]:
        """The right pick's share of the best, and its memory over the smallest as good."""
        rps = {
            config: rate * statistics.median(draw.choices(self.deviations, k=self.launches[config]))
            for config, rate in self.rps.items()
        }
        smallest = _smallest(rps, self.pss_bytes)
        return (
            rps[self.right] / max(rps.values()),
            self.pss_bytes[self.right] / self.pss_bytes[smallest],
        )


def _smallest(rps: Mapping[Config, float], pss_bytes: Mapping[Config, float]) -> Config:
    best = max(rps.values())
    return min((c for c in rps if rps[c] >= (1 - SLACK) * best), key=pss_bytes.__getitem__)
