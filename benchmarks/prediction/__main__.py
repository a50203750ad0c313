"""Does the model predict? The app on one core, wrk and nginx on another, against what is printed.

    python -m benchmarks.prediction [--runs N] [--keep DIR | --replay DIR] [APP ...]

Each app is started naively, measured once, and then run as recommended and in two other
configurations of its class. A prediction is what `recommend` prints with that configuration
pinned, for so many requests in flight; wrk has as many connections. Mean response is N / X.

The probe and a load are minutes apart, in which a virtual machine's core changes its speed. A
fixed piece of work beside both (benchmarks/pace.py) tells by how much; the prediction is printed
for a request that takes as much more CPU. What it was without that is printed below.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.demo.processes import referee
from benchmarks.pace import pace
from benchmarks.prediction import kept
from benchmarks.prediction.known import APP_CPU, CONNECTIONS, TRIED, measured, on_its_core
from benchmarks.prediction.rows import Load, value
from benchmarks.regret.apps import CASES as APPS
from benchmarks.regret.launch import holdings, proxied, tree
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.pace import Pace
    from benchmarks.prediction.known import Known
    from benchmarks.prediction.rows import Row
    from benchmarks.regret.apps import Case

# How long each load lasts: at least as many answers a connection as `ROUNDS`, or those under way
# at its end would be a large part of it.
SECONDS, MOST_SECONDS, ROUNDS = 4, 20, 12


def loads_of(known: Known, pieces: Pace) -> Iterator[Load]:
    """Run each configuration at many and at few connections."""
    case = known.case
    for config in dict.fromkeys([known.chosen(), *TRIED[case.name]]):
        few = known.modest(config)
        with (
            on_its_core(case, config) as (pid, port),
            tempfile.TemporaryDirectory() as stage,
            proxied(port, Path(stage), case.route) as url,
        ):
            referee(url, seconds=1, connections=CONNECTIONS)
            for connections in sorted({CONNECTIONS, few}):
                likely_rps = value(known.predicted(config, connections).throughput_rps)
                wanted_s = ROUNDS * connections / likely_rps
                seconds = math.ceil(min(MOST_SECONDS, max(SECONDS, wanted_s)))
                began = time.monotonic()
                score = referee(url, seconds=seconds, connections=connections)
                yield Load(
                    config,
                    connections,
                    modest=connections == few,
                    slower=pieces.during(began, time.monotonic()) / known.piece_s,
                    rps=score.rps,
                    pss=sum(each.pss_bytes for each in holdings(tree(pid))),
                )


def rows_of(known: Known, loads: Iterable[Load]) -> Iterator[Row]:
    """The loads beside what is predicted for them, each printed as it comes."""
    for load in loads:
        row = known.row(load)
        print(row.text(), flush=True)
        yield row


def summary(rows: list[Row]) -> list[Figure]:
    """What issue and README hold the model to."""
    names = dict.fromkeys(row.case for row in rows)

    def over_apps(errors: list[tuple[str, float]]) -> float:
        means = [
            statistics.fmean(error for name, error in errors if name == wanted)
            for wanted in names
            if any(name == wanted for name, _ in errors)
        ]
        return statistics.fmean(means)

    held = [each for row in rows for each in row.held]
    return [
        Figure(
            "throughput: mean error over apps",
            over_apps([(r.case, abs(r.throughput - 1)) for r in rows]),
            "",
            most=0.1,
        ),
        Figure(
            "mean response below 70 %: mean error",
            over_apps([(r.case, abs(r.response - 1)) for r in rows if r.load.modest]),
            "",
            most=0.2,
        ),
        Figure(
            "PSS: mean error",
            over_apps([(r.case, abs(r.memory - 1)) for r in rows]),
            "",
            most=0.1,
        ),
        Figure("printed intervals that hold", statistics.fmean(held), "", least=0.9),
        Figure(
            "throughput, were the core always as fast",
            over_apps(
                [(r.case, abs(value(r.unpaced.throughput_rps) / r.load.rps - 1)) for r in rows]
            ),
            "",
        ),
    ]


def main() -> int:
    """Print every configuration and the summary; 1 where something misses its limit."""
    wanted = options()
    if (os.cpu_count() or 1) < 2:
        print("not run: needs two cores")
        return 1
    print(f"  {'app':<24} {'configuration':<18} conn      seen   pace   rate   resp    PSS  held")
    cases = [case for case in APPS if case.name in TRIED]
    cases = [case for case in cases if not wanted.apps or case.name in wanted.apps]
    if wanted.replay:
        found = (kept.read(case, folder) for folder in kept.runs(wanted.replay) for case in cases)
        rows = [row for known, loads in found for row in rows_of(known, loads)]
    else:
        rows = list(live(cases, wanted))
    return 0 if show("\nOver all configurations", summary(rows)) else 1


def live(cases: list[Case], wanted: argparse.Namespace) -> Iterator[Row]:
    """Probe and load, for as many runs as are wanted."""
    with one_scheduler_group(), pace(APP_CPU) as pieces:
        for run in range(wanted.runs):
            for case in cases:
                known = measured(case, pieces)
                rows = list(rows_of(known, loads_of(known, pieces)))
                if wanted.keep:
                    kept.write(known, [row.load for row in rows], wanted.keep / str(run))
                yield from rows


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write what was measured")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="predict anew from --keep")
    parser.add_argument("apps", nargs="*")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
