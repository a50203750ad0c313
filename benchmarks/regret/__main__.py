"""How far from the best is what the advisor recommends, and what a formula gives?

    python -m benchmarks.regret [--grid] [--runs 2] [--minutes 20] [APP ...]

Each app is launched under every worker class, number of workers and threads that may help, behind
nginx with upstream keep-alive and loaded by wrk: the grid, kept in $XDG_CACHE_HOME. Then the app
runs naively, is probed once and advised; our pick races the grid's best three in whole launches
that take turns, each loaded twice over connections opened anew, and the medians are compared,
brought to one speed of the machine. After `--runs` launches of each, what is left of the minutes
goes to the apps whose loads differ most. The formulas' picks are part of the grid.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor import files
from advisor.errors import AdvisorError, Interrupted
from benchmarks.pace import speed
from benchmarks.regret import formulas, grid, race, table
from benchmarks.regret.apps import CASES, Case
from benchmarks.regret.cache import Cache
from benchmarks.regret.judge import Row, judge
from benchmarks.regret.launch import measure
from benchmarks.regret.points import Config, Point
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import show

if TYPE_CHECKING:
    from collections.abc import Callable

    Launch = Callable[..., list[Point]]


# Loads of each launch of a race, and how long: more of them tell more than longer ones.
LOADS, RACE_LOAD_S = 2, 1


@dataclass(frozen=True)
class Searched:
    """A case with its grid and the formulas' picks, which are part of it."""

    case: Case
    cache: Cache
    points: dict[Config, Point]
    picks: dict[str, Config]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regret",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--grid", action="store_true", help="complete the grids, and end")
    parser.add_argument("--runs", type=int, default=2, help="launches of each, at least")
    parser.add_argument("--minutes", type=float, default=20, help="launches end by then")
    parser.add_argument("--from-grid", action="store_true", help="judge by the grid: no race")
    parser.add_argument("--formulas", action="store_true", help="race the formulas' picks too")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write what ours saw and said")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="advise from --keep: no probe")
    parser.add_argument("apps", nargs="*", metavar="APP", help="; ".join(c.name for c in CASES))
    wanted = parser.parse_args()
    unknown = sorted(set(wanted.apps) - {case.name for case in CASES})
    if unknown:
        parser.error(f"no such app: {', '.join(unknown)}; there are: {[c.name for c in CASES]}")
    if wanted.runs < race.LEAST_ROUNDS:
        parser.error(f"--runs: at least {race.LEAST_ROUNDS}")
    if wanted.save and not wanted.save.absolute().parent.is_dir():
        parser.error(f"--save: the folder of {wanted.save} does not exist")
    return wanted


def search(case: Case, launch: Launch) -> Searched:
    """The whole grid of a case, measured where the cache lacks it."""
    cache = Cache(case)

    def launched(config: Config) -> Point:
        (point,) = launch(case, config)
        print(
            f"    {case.name}: {config!s:<16} {point.rps:>8,.0f} requests/s, "
            f"{point.pss_bytes / 2**20:.0f} MB, {point.busy_ratio:.0%} busy",
            file=sys.stderr,
            flush=True,
        )
        return point

    measured = cache.through(launched)
    points = {point.config: point for point in grid.search(case, measured)}
    single = measured(Config(formulas.naive(case.interface).worker_class, 1))
    picks = formulas.picks(
        case,
        cores=os.cpu_count() or 1,
        ram_bytes=psutil.virtual_memory().total,
        worker_rss_bytes=single.rss_bytes,
    )
    points |= {config: measured(config) for config in picks.values()}
    return Searched(case, cache, points, picks)


@dataclass(frozen=True)
class Contest:
    """A case, what the advisor says of it, and the race of that with its rivals."""

    found: Searched
    advice: race.Advice
    launches: race.Race

    @property
    def row(self) -> Row:
        """What it says so far."""
        ours, cached = self.advice.config, self.found.cache.points
        points = {**self.found.points, **({ours: cached[ours]} if ours in cached else {})}
        return judge(
            self.found.case,
            list(points.values()),
            self.launches.launched,
            ours=ours,
            took_s=self.advice.took_s,
            formulas=self.found.picks,
        )


def contest(found: Searched, wanted: argparse.Namespace, launch: Launch) -> Contest:
    """Ours from one probe, and the first rounds of the race; without one, its grid's launch."""
    case = found.case
    advice = race.replay(case, wanted.replay) if wanted.replay else race.advise(case)
    if wanted.keep:
        advice.keep(wanted.keep, case)
    launched = partial(launch, case, loads=LOADS, load_s=RACE_LOAD_S)
    if wanted.from_grid:
        found.cache.through(lambda config: launch(case, config)[0])(advice.config)
        return Contest(found, advice, race.Race([], launched))
    rivals = grid.finalists(list(found.points.values()), case)
    formers = found.picks.values() if wanted.formulas else ()
    begun = Contest(found, advice, race.Race([advice.config, *rivals, *formers], launched))
    for _ in range(wanted.runs):
        begun.launches.round()
    return begun


def grids(cases: list[Case], launch: Launch) -> list[Searched]:
    """The grids of all cases; where one cannot be made, that is said, and it is left out."""
    found = []
    for case in cases:
        try:
            found.append(search(case, launch))
        except Interrupted:
            raise
        except AdvisorError as error:
            print(f"  {case.name}: {error}", flush=True)
    return found


def rows(searched: list[Searched], wanted: argparse.Namespace, launch: Launch) -> list[Row]:
    """The table, a row a case, printed once all have been raced."""
    ends, begun = time.monotonic() + 60 * wanted.minutes, []
    for each in searched:
        try:
            begun.append(contest(each, wanted, launch))
        except Interrupted:
            raise
        except AdvisorError as error:
            print(f"  {each.case.name}: {error}", flush=True)
        else:
            print(f"    {each.case.name}: {begun[-1].advice.config}", file=sys.stderr, flush=True)
    if not wanted.from_grid:
        race.settle([each.launches for each in begun], ends=ends)
    print(table.header())
    found = []
    for one in begun:
        try:
            found.append(one.row)
        except AdvisorError as error:
            print(f"  {one.found.case.name}: {error}")
        else:
            print(table.line(found[-1]))
    print(table.LEGEND)
    return found


def main() -> int:
    """Print the table and its summary; 1 where something misses its limit, or a case is missing."""
    wanted = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended first
    cases = [case for case in CASES if not wanted.apps or case.name in wanted.apps]
    if wanted.keep:
        wanted.keep.mkdir(parents=True, exist_ok=True)
    with one_scheduler_group(), speed() as beside:
        launch = partial(measure, beside=beside)
        searched = grids(cases, launch)
        if wanted.grid:
            for each in searched:
                print(table.grid_line(each.case, list(each.points.values()), each.cache.path))
            return 0 if len(searched) == len(cases) else 1
        began = time.monotonic()
        found = rows(searched, wanted, launch)
    if wanted.save:
        content = json.dumps([table.as_data(row) for row in found], indent=1)
        files.write_atomic(wanted.save, content.encode())
    if not found:
        return 1
    title = f"\n{len(found)} apps, {(time.monotonic() - began) / 60:.1f} minutes"
    kept = show(title, table.figures(found))
    return 0 if kept and len(found) == len(cases) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, Interrupted):
        sys.exit(130)
    except AdvisorError as error:
        sys.exit(str(error))
