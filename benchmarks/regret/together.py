"""Several runs of the benchmark judged as one: what is left once luck has evened out.

    python -m benchmarks.regret.together FILE FILE ...

Each FILE is what a run wrote by --save, on one machine. Ours may be a worker or so apart from run
to run, as its probes are: it stands as one, under the last run's name. Of its rivals those count
that every run raced.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advisor import files
from advisor.errors import AdvisorError, InvalidInput
from benchmarks.regret import table
from benchmarks.regret.apps import CASES
from benchmarks.regret.judge import Row, judge
from benchmarks.regret.points import Config, Point
from benchmarks.table import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BY_NAME = {case.name: case for case in CASES}


@dataclass(frozen=True)
class Raced:
    """A case of one run: its launches by configuration, ours first."""

    launches: dict[Config, list[Point]]
    took_s: float

    @property
    def ours(self) -> Config:
        """What the advisor said in that run."""
        return next(iter(self.launches))


def raced(row: dict[str, Any]) -> Raced:
    """A row of a saved run that raced; `KeyError` or `TypeError` where it is none."""
    found: defaultdict[Config, list[Point]] = defaultdict(list)
    for point in map(Point.of, row["race"]):
        found[point.config].append(point)
    if not found:
        raise KeyError("race")
    return Raced(dict(found), row["took_s"])


def together(name: str, runs: Sequence[Raced]) -> Row:
    """The row of a case over some runs, each with launches of it."""
    ours = runs[-1].ours
    named = [
        {
            ours if config == run.ours else config: [
                replace(point, config=ours if config == run.ours else config) for point in points
            ]
            for config, points in run.launches.items()
        }
        for run in runs
    ]
    shared = [config for config in named[-1] if all(config in each for each in named)]
    return judge(
        BY_NAME[name],
        [],
        {config: [point for each in named for point in each[config]] for config in shared},
        ours=ours,
        took_s=max(run.took_s for run in runs),
        formulas={},
    )


def read(paths: Iterable[Path]) -> dict[str, list[Raced]]:
    """Every case's runs; `InvalidInput` where a file is not what --save writes."""
    found: defaultdict[str, list[Raced]] = defaultdict(list)
    for path in paths:
        try:
            for row in list(files.load(path)):
                found[BY_NAME[row["case"]].name].append(raced(row))
        except (KeyError, TypeError):
            raise InvalidInput(f"{path} is not what --save writes") from None
    return found


def main(paths: Sequence[str]) -> int:
    """Print the table and the figures; 1 where one misses its limit."""
    if not paths:
        sys.exit(str(__doc__))
    cases = read(map(Path, paths))
    rows = [together(name, runs) for name, runs in cases.items()]
    print(table.header())
    for row in rows:
        print(table.line(row))
    ours = [figure for figure in table.figures(rows) if figure.what.startswith("ours")]
    return 0 if show(f"\n{len(rows)} apps, {len(paths)} runs", ours) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AdvisorError as error:
        sys.exit(str(error))
