"""Where a pick stands beside the best that was found. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import AdvisorError
from benchmarks.regret.points import SLACK, levelled, middle, serves, within_budget

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.regret.apps import Case
    from benchmarks.regret.points import Config, Point


@dataclass(frozen=True)
class Standing:
    """A configuration's middle, its share of the best, whether it was raced, and in budget."""

    point: Point
    share: float
    raced: bool
    kept: bool


@dataclass(frozen=True)
class Row:
    """What one run says of a case.

    `memory_ratio` is ours over the smallest configuration within 2 % of the best; `shares` the
    formulas' by name; `raced` every launch of the race.
    """

    case: str
    best: Config
    best_rps: float
    ours: Config
    share: float
    memory_ratio: float
    kept: bool
    took_s: float
    shares: dict[str, Standing]
    smallest: Config
    raced: dict[Config, list[Point]]


def standings(
    case: Case, grid: Sequence[Point], raced: Mapping[Config, Sequence[Point]]
) -> dict[Config, Standing]:
    """Every configuration against the best of its own kind: grid against grid, race against race.

    The race's word counts where there is one: what a virtual machine gives drifts between days.
    Raises `AdvisorError` where nothing serves within the budget.
    """
    found: dict[Config, Standing] = {}
    race = [middle(points) for points in levelled(raced).values() if points]
    for points, is_race in ((grid, False), (race, True)):
        rates = [point.rps for point in points if serves(point, case)]
        if points and not rates:
            where = "race" if is_race else "grid"
            raise AdvisorError(f"no configuration of the {where} serves within the budget")
        best = max(rates, default=1.0)
        for point in points:
            kept = within_budget(point, case)
            found[point.config] = Standing(point, point.rps / best, is_race, kept)
    return found


def judge(
    case: Case,
    grid: Sequence[Point],
    raced: Mapping[Config, list[Point]],
    *,
    ours: Config,
    took_s: float,
    formulas: Mapping[str, Config],
) -> Row:
    """The row of a case; `ours` has to be in the race or the grid."""
    standing = standings(case, grid, raced)
    own = standing[ours]
    good = {config: each for config, each in standing.items() if serves(each.point, case)}
    best = max(good.values(), key=lambda each: (each.share, each.raced))
    near = [each for each in good.values() if each.share >= 1 - SLACK]
    smallest = min(near, key=lambda each: each.point.pss_bytes)
    return Row(
        case=case.name,
        best=best.point.config,
        best_rps=best.point.rps,
        ours=ours,
        share=own.share,
        memory_ratio=own.point.pss_bytes / smallest.point.pss_bytes,
        kept=own.kept,
        took_s=took_s,
        shares={name: standing[config] for name, config in formulas.items() if config in standing},
        smallest=smallest.point.config,
        raced=dict(raced),
    )
