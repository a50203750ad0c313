"""The rows as a table, as figures with their limits, and as JSON. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.regret.grid import finalists
from benchmarks.regret.luck import luck
from benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.regret.apps import Case
    from benchmarks.regret.judge import Row
    from benchmarks.regret.points import Point

FORMULAS = ("2n+1", "image", "Heroku", "Passenger", "fastapi")
NAME, CONFIG = 26, 18
LEAST_MEDIAN, LEAST_SHARE, MOST_MEMORY = 0.98, 0.92, 1.15
LEGEND = (
    "  Shares are of the best throughput within the budget; memory is over the smallest as good;\n"
    "  loads are those of each that was raced, two a launch: the more they differ, the more.\n"
    "  * from the cached grid, not raced in this run; ! over the budget."
)


def header() -> str:
    """The table's first line."""
    formulas = "".join(f"{name:>11}" for name in FORMULAS)
    return (
        f"  {'app':<{NAME}}{'best':<{CONFIG}}{'req/s':>8}  {'ours':<{CONFIG}}{'share':>6}"
        f"{'memory':>8}{'budget':>8}{'time':>7}{'loads':>10}{formulas}"
    )


def line(row: Row) -> str:
    """A row of the table."""
    loads = min(map(len, row.raced.values()), default=0)
    formulas = "".join(f"{_share(row, name):>11}" for name in FORMULAS)
    return (
        f"  {row.case:<{NAME}}{row.best!s:<{CONFIG}}{row.best_rps:>8,.0f}  "
        f"{row.ours!s:<{CONFIG}}{row.share:>6.2f}{row.memory_ratio:>8.2f}"
        f"{'kept' if row.kept else 'OVER':>8}{row.took_s:>5.0f} s{loads:>10}{formulas}"
    )


def _share(row: Row, name: str) -> str:
    if name not in row.shares:
        return "-  "
    standing = row.shares[name]
    marks = f"{'' if standing.raced else '*'}{'' if standing.kept else '!'}"
    return f"{standing.share:.2f}{marks:<2}"


def grid_line(case: Case, points: Sequence[Point], path: Path) -> str:
    """A grid in one line: how large, its best, and where it is kept."""
    best = ", ".join(
        f"{point.config} {point.rps:,.0f}/s {point.pss_bytes / 2**20:.0f} MB"
        for config in finalists(points, case)
        for point in points
        if point.config == config
    )
    return f"  {case.name:<{NAME}}{len(points):>3} launches; best: {best}\n    {path}"


def figures(rows: Sequence[Row]) -> list[Figure]:
    """What issue and README hold the recommendation to, and the formulas beside it."""
    ours = [row.share for row in rows]
    memory = max(row.memory_ratio for row in rows)
    longest = max(row.took_s for row in rows)
    found = [
        Figure("ours, share of the best, median", statistics.median(ours), "", least=LEAST_MEDIAN),
        Figure("ours, share of the best, worst", min(ours), "", least=LEAST_SHARE),
        Figure("ours, memory over the smallest as good, worst", memory, "x", most=MOST_MEMORY),
        Figure("ours, over a budget", sum(not row.kept for row in rows), "", most=0),
        Figure("from URL to recommendation, longest", longest, "s", most=40),
    ]
    for name in FORMULAS:
        shares = [row.shares[name].share for row in rows if name in row.shares]
        if shares:
            of = f"{name}, {len(shares)} apps"
            found.append(Figure(f"{of}, median", statistics.median(shares), ""))
            found.append(Figure(f"{of}, worst", min(shares), ""))
    return found + _by_luck(rows)


def _by_luck(rows: Sequence[Row]) -> list[Figure]:
    """What the worst row would be if ours were what each race calls right, all raced again."""
    raced = [row.raced for row in rows if row.raced]
    if not raced:
        return []
    again = luck(raced, least_share=LEAST_SHARE, most_memory=MOST_MEMORY)
    return [
        Figure("the right pick raced again, worst share", again.share, ""),
        Figure("  races in which that is high enough", 100 * again.share_kept, "%"),
        Figure("the right pick raced again, worst memory", again.memory_ratio, "x"),
        Figure("  races in which that is low enough", 100 * again.memory_kept, "%"),
    ]


def as_data(row: Row) -> dict[str, Any]:
    """A row for JSON, with every launch of its race."""
    return {
        "case": row.case,
        "best": str(row.best),
        "best_rps": row.best_rps,
        "ours": str(row.ours),
        "share": row.share,
        "memory_ratio": row.memory_ratio,
        "smallest": str(row.smallest),
        "kept": row.kept,
        "took_s": row.took_s,
        "formulas": {
            name: {
                "config": str(standing.point.config),
                "share": standing.share,
                "raced": standing.raced,
                "kept": standing.kept,
            }
            for name, standing in row.shares.items()
        },
        "race": [point.as_data() for points in row.raced.values() for point in points],
    }
