"""Is the measurement right? Apps whose limiter is known, against wrk and the process clocks.

    python -m benchmarks.measurement [--runs N] [APP ...]

The reference CPU per request is the server's processes' own clocks over wrk's completed
requests, for at least a second of CPU, at the connections of the probe's own figure, on the
same launch. Launches of different apps take turns.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.demo.processes import free_port, program, running
from advisor.probe import probe
from benchmarks.measurement.cases import APPS, CASES
from benchmarks.measurement.reference import Processes
from benchmarks.measurement.rows import Row, connections_of
from benchmarks.measurement.steps import Steps
from benchmarks.pace import speed
from benchmarks.regret.apps import FIVE_AT_ONCE
from benchmarks.regret.services import service
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measurement.cases import Case
    from benchmarks.pace import Speed


def run(case: Case, beside: Speed) -> Row:
    """Launch; load with wrk, probe, and load with wrk again, at the same connections.

    One half of the reference on either side of the probe, each brought to the speed that the
    machine had while the probe took its figure.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}{case.route}"
    name, *rest = case.command.split()
    where = {
        "uvicorn": ["--port", str(port), "--app-dir", str(APPS)],
        "gunicorn": ["--bind", f"127.0.0.1:{port}", "--chdir", str(APPS)],
    }[name]
    with (
        tempfile.TemporaryDirectory() as folder,
        running([program(name), *rest, *where], url=url, log=Path(folder) / "log") as pid,
    ):
        server = Processes(pid)
        before = server.reference_half(url, case.connections)
        steps = Steps()
        seen = probe(url, on_progress=steps.told)
        after = server.reference_half(url, connections_of(seen))
    spans = steps.spans_of(seen), [before.span], [after.span]
    probed, first, second = (beside.during(*each) for each in spans)
    return Row(case, seen, (before, after), (probed, first, second))


def summary(rows: Sequence[Row]) -> list[Figure]:
    """What issue and README hold the measurement to."""
    cpu = [abs(row.cpu_ratio - 1) for row in rows]
    names = dict.fromkeys(row.case.name for row in rows)
    medians = [
        statistics.median(row.cpu_ratio for row in rows if row.case.name == name) for name in names
    ]
    steady = [row.unsteady <= 0.1 for row in rows]
    waits = [row for row in rows if row.wait_error_s is not None]
    return [
        Figure("verdict right", share("verdict", rows), "", least=1.0),
        Figure(
            "apps whose median CPU ratio is within 10 %",
            sum(abs(ratio - 1) <= 0.1 for ratio in medians) / len(medians),
            "",
            least=1.0,
        ),
        Figure("single runs within 10 %", share("cpu", rows), ""),
        Figure(
            "the same with the reference as it is",
            sum(abs(row.unlevelled_ratio - 1) <= 0.1 for row in rows) / len(rows),
            "",
        ),
        Figure("references within 10 % of themselves", statistics.fmean(steady), ""),
        Figure("its median error", statistics.median(cpu), "", most=0.1),
        Figure("waiting time within 10 % or 2 ms", share("wait", waits), "", least=1.0),
        Figure(
            f"the interval holds the reference, of {len(rows)} runs",
            sum(row.held for row in rows) / len(rows),
            "",
            least=0.9,
        ),
        Figure(
            "median half-width of the interval",
            statistics.median(row.width for row in rows),
            "",
            most=0.1,
        ),
        Figure("what the reference's own spread asks of it", width_asked_for(rows), ""),
    ]


def width_asked_for(rows: Sequence[Row]) -> float:
    """The half-width that holds 90 % of references, were the probe one more load by wrk.

    An app's standard deviation between loads is that of its reference's halves, which are the
    same client's on the same launch; the reference is the mean of two. The median over apps.
    """
    spreads: dict[str, list[float]] = {}
    for row in rows:
        spreads.setdefault(row.case.name, []).append(2 * row.unsteady**2)
    between = [math.sqrt(statistics.fmean(squares)) for squares in spreads.values()]
    return 1.645 * math.sqrt(1 + 1 / 2) * statistics.median(between)


def share(what: str, rows: Sequence[Row]) -> float:
    """The share of rows that keep a limit."""
    return sum(what not in row.problems() for row in rows) / max(1, len(rows))


def main() -> int:
    """Print the table and its summary; 1 where something misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("apps", nargs="*")
    wanted = parser.parse_args()
    cases = [case for case in CASES if not wanted.apps or case.name in wanted.apps]
    print(
        f"  {'app':<26} {'verdict':<19} {'reference':>10} {'+-':>5} {'ratio':>6} {'as is':>6} "
        "    +- held"
        "  wait error  conn     sent server CPU"
    )
    rows = []
    with service(FIVE_AT_ONCE.script) as port, one_scheduler_group(), speed() as beside:
        os.environ[FIVE_AT_ONCE.variable] = str(port)
        for _ in range(wanted.runs):
            for case in cases:
                rows.append(run(case, beside))
                print(rows[-1].text(), flush=True)
    return 0 if show("\nOver all runs", summary(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
