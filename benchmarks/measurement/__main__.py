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
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor.demo.processes import free_port, program, referee, running
from advisor.probe import probe
from advisor.probe.sample.clocks import process_cpu_s
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.documents import Measurement

APPS = Path(__file__).parent.parent / "tests" / "apps"
REFERENCE_CPU_S = 1.0
SECONDS = (3, 25)
MOST_DRAIN_S = 10
# The probe's own, so that wrk asks the same: Gunicorn's parser takes some 10 µs for each header.
HEADERS = ("User-Agent: advisor", "Accept: */*")


@dataclass(frozen=True)
class Case:
    """An app, how it is started, and what is known of it; `wait_s` where it is exact."""

    name: str
    command: str
    route: str
    verdicts: tuple[str, ...]
    wait_s: float | None = None
    # About where the probe finds the knee: for the half of the reference that comes before it.
    connections: int = 64


UVICORN = "uvicorn asgi_app:app --log-level warning --workers"
CASES = (
    Case("async computing", f"{UVICORN} 2", "/compute", ("cpu",), 0.0, connections=32),
    Case("async waiting", f"{UVICORN} 2", "/wait", ("cpu",), 0.020, connections=64),
    Case("async mixed", f"{UVICORN} 2", "/mixed", ("cpu",), 0.005, connections=64),
    Case("async, one worker", f"{UVICORN} 1", "/compute", ("concurrency",), 0.0, connections=16),
    Case(
        "loop blocked by sleep",
        f"{UVICORN} 2",
        "/blocked",
        ("event-loop-blocked",),
        0.020,
        connections=8,
    ),
    Case(
        "loop blocked by a socket",
        f"{UVICORN} 2",
        "/blocked-socket",
        ("event-loop-blocked",),
        connections=8,
    ),
    Case("loop held by CPU", f"{UVICORN} 2", "/blocked-cpu", ("cpu",), 0.0, connections=16),
    Case(
        "def routes, 40 tokens",
        f"{UVICORN} 1",
        "/threads",
        ("concurrency",),
        0.050,
        connections=128,
    ),
    Case("a pool of 5", f"{UVICORN} 1", "/pool", ("concurrency",), 0.020, connections=16),
    Case("slow downstream", f"{UVICORN} 1", "/downstream", ("downstream",), connections=16),
    Case("leaking", f"{UVICORN} 2", "/leak", ("cpu",), 0.0, connections=32),
    Case(
        "sync waiting",
        "gunicorn wsgi_app:app -w 5",
        "/wait",
        ("concurrency",),
        0.020,
        connections=16,
    ),
    Case("sync computing", "gunicorn wsgi_app:app -w 3", "/compute", ("cpu",), 0.0, connections=16),
    Case(
        "gthread",
        "gunicorn wsgi_app:app -w 2 --threads 4",
        "/wait",
        ("concurrency",),
        0.020,
        connections=32,
    ),
    Case("holds 150 MB", "gunicorn heavy_app:app -w 2", "/compute", ("cpu",), 0.0, connections=16),
)


@dataclass(frozen=True)
class Row:
    """What the probe said of a case, and the reference."""

    case: Case
    seen: Measurement
    references: tuple[float, float]

    @property
    def reference_s(self) -> float:
        """The mean of both halves."""
        return statistics.fmean(self.references)

    @property
    def unsteady(self) -> float:
        """How far the halves of the reference lie from their mean, relative."""
        return abs(self.references[0] - self.reference_s) / self.reference_s

    @property
    def cpu_ratio(self) -> float:
        """The probe's CPU per request over the reference."""
        demand = self.seen.cpu_per_request_s
        return demand.value / self.reference_s if demand else float("nan")

    @property
    def held(self) -> bool:
        """Whether the interval holds the reference."""
        demand = self.seen.cpu_per_request_s
        return bool(demand and demand.low <= self.reference_s <= demand.high)

    @property
    def wait_error_s(self) -> float | None:
        """How far the waiting time is off, where it is known."""
        wait = self.seen.wait_per_request_s
        if self.case.wait_s is None or wait is None:
            return None
        return wait.value - self.case.wait_s

    def problems(self) -> list[str]:
        """What misses its limit."""
        error = self.wait_error_s
        allowed = max(0.002, 0.1 * (self.case.wait_s or 0))
        found = {
            "verdict": self.seen.limiter.verdict not in self.case.verdicts,
            "cpu": not 0.9 <= self.cpu_ratio <= 1.1,
            "wait": error is not None and abs(error) > allowed,
        }
        return [name for name, missed in found.items() if missed]

    @property
    def width(self) -> float:
        """Half of the interval, relative."""
        demand = self.seen.cpu_per_request_s
        return (demand.high - demand.low) / 2 / demand.value if demand and demand.value else 1.0

    def text(self) -> str:
        """The run as a line of the table."""
        error = "-" if self.wait_error_s is None else f"{self.wait_error_s * 1e3:+.2f} ms"
        missed = ", ".join(self.problems())
        return (
            f"  {self.case.name:<26} {self.seen.limiter.verdict:<19} "
            f"{self.reference_s * 1e6:>7.0f} µs {self.unsteady:>5.0%} "
            f"{self.cpu_ratio:>6.2f} {self.width:>6.1%} "
            f"{'yes' if self.held else 'no':>4} {error:>10} "
            f"{connections_of(self.seen):>5} {self.seen.cost.requests:>8,} "
            f"{self.seen.cost.server_cpu_s or 0:>5.1f} s  {missed and 'MISSED: ' + missed}"
        )


def connections_of(seen: Measurement) -> int:
    """The connections of the probe's own figure."""
    return seen.throughput.knee_connections or seen.throughput.steps[-1].connections


@contextmanager
def downstream() -> Iterator[int]:
    """The slow service of tests/apps/downstream.py; its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(APPS / "downstream.py"), str(port)])
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def run(case: Case) -> Row:
    """Launch; load with wrk, probe, and load with wrk again, at the same connections.

    One half of the reference on either side of the probe: what a request costs drifts by some
    10 % within a minute on a virtual machine, whoever asks.
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
        seen = probe(url, on_progress=lambda _line: None)
        after = server.reference_half(url, connections_of(seen))
    return Row(case, seen, (before, after))


class Processes:
    """A server's processes, once all have booted."""

    def __init__(self, pid: int) -> None:
        time.sleep(2.5)  # its workers import
        self.all = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def used(self) -> float:
        """CPU seconds so far."""
        return sum(process_cpu_s(process.pid) or 0.0 for process in self.all)

    def reference_half(self, url: str, connections: int) -> float:
        """CPU seconds of the processes for each request that wrk completed: half a second of it."""
        began = self.used()
        warm_up = referee(url, seconds=1, connections=connections)
        cores = self.used() - began
        # What wrk leaves unanswered is served all the same, and would count as the next load's CPU:
        # 3 % more a request at 16 connections of 10 ms each, and 3 to 4 % at 256 that wait.
        time.sleep(min(MOST_DRAIN_S, 1.5 * connections / max(warm_up.rps, 1.0)))
        least, most = SECONDS
        seconds = math.ceil(min(most, max(least, REFERENCE_CPU_S / 2 / max(cores, 1e-3))))
        before = self.used()
        score = referee(url, seconds=seconds, connections=connections, headers=HEADERS)
        spent = self.used() - before
        if spent < 0.45 * REFERENCE_CPU_S:
            print(f"  (half of the reference below rests on {spent:.2f} s of CPU)")
        return spent / max(1, score.requests)


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
        f"  {'app':<26} {'verdict':<19} {'reference':>10} {'+-':>5} {'ratio':>6} {'+-':>6} held"
        "  wait error  conn     sent server CPU"
    )
    rows = []
    with downstream() as port, one_scheduler_group():
        os.environ["DOWNSTREAM_PORT"] = str(port)
        for _ in range(wanted.runs):
            for case in cases:
                rows.append(run(case))
                print(rows[-1].text(), flush=True)
    return 0 if show("\nOver all runs", summary(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
