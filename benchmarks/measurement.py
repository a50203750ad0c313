"""Is the measurement right? A dozen apps whose limiter is known, against wrk and the clocks.

The reference CPU per request is the server's processes' own clocks over wrk's completed
requests, at the connections of the probe's own figure, on the same launch.
"""

from __future__ import annotations

import os
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Measurement

APPS = Path(__file__).parent.parent / "tests" / "apps"
SECONDS = 5


@dataclass(frozen=True)
class Case:
    """An app, how it is started, and what is known of it; `wait_s` where it is exact."""

    name: str
    command: str
    route: str
    verdicts: tuple[str, ...]
    wait_s: float | None = None


UVICORN = "uvicorn asgi_app:app --log-level warning --workers"
CASES = (
    Case("async computing", f"{UVICORN} 2", "/compute", ("cpu",), 0.0),
    Case("async waiting", f"{UVICORN} 2", "/wait", ("cpu",), 0.020),
    Case("async mixed", f"{UVICORN} 2", "/mixed", ("cpu",), 0.005),
    Case("async, one worker", f"{UVICORN} 1", "/compute", ("concurrency",), 0.0),
    Case("loop blocked by sleep", f"{UVICORN} 2", "/blocked", ("event-loop-blocked",), 0.020),
    Case("loop blocked by a socket", f"{UVICORN} 2", "/blocked-socket", ("event-loop-blocked",)),
    Case("loop held by CPU", f"{UVICORN} 2", "/blocked-cpu", ("cpu",), 0.0),
    Case("def routes, 40 tokens", f"{UVICORN} 1", "/threads", ("concurrency",), 0.050),
    Case("a pool of 5", f"{UVICORN} 1", "/pool", ("concurrency",), 0.020),
    Case("slow downstream", f"{UVICORN} 1", "/downstream", ("downstream",)),
    Case("leaking", f"{UVICORN} 2", "/leak", ("cpu",), 0.0),
    Case("sync waiting", "gunicorn wsgi_app:app -w 5", "/wait", ("concurrency",), 0.020),
    Case("sync computing", "gunicorn wsgi_app:app -w 3", "/compute", ("cpu",), 0.0),
    Case("gthread", "gunicorn wsgi_app:app -w 2 --threads 4", "/wait", ("concurrency",), 0.020),
    Case("holds 150 MB", "gunicorn heavy_app:app -w 2", "/compute", ("cpu",), 0.0),
)


@dataclass(frozen=True)
class Row:
    """What the probe said of a case, and the reference."""

    case: Case
    seen: Measurement
    reference_s: float

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

    def text(self) -> str:
        """The case as a line of the table."""
        demand = self.seen.cpu_per_request_s
        width = (demand.high - demand.low) / 2 / demand.value if demand and demand.value else 1
        error = "-" if self.wait_error_s is None else f"{self.wait_error_s * 1e3:+.2f} ms"
        missed = ", ".join(self.problems())
        return (
            f"  {self.case.name:<26} {self.seen.limiter.verdict:<19} "
            f"{self.reference_s * 1e6:>7.0f} µs {self.cpu_ratio:>6.2f} {width:>6.1%} "
            f"{'yes' if self.held else 'no':>4} {error:>10}  {missed and 'MISSED: ' + missed}"
        )


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
    """Launch, probe, and load again with wrk at the same connections."""
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
        seen = probe(url, on_progress=lambda _line: None)
        connections = seen.throughput.steps[-1].connections
        reference = reference_s(pid, url, connections)
    return Row(case, seen, reference)


def reference_s(pid: int, url: str, connections: int) -> float:
    """CPU seconds of the server's processes for each request that wrk completed."""
    time.sleep(0.5)
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def used() -> float:
        return sum(process_cpu_s(process.pid) or 0.0 for process in processes)

    referee(url, seconds=1, connections=connections)
    before = used()
    score = referee(url, seconds=SECONDS, connections=connections)
    return (used() - before) / max(1.0, score.rps * SECONDS)


def main() -> int:
    """Print the table; 1 where something misses its limit."""
    wanted = sys.argv[1:]
    print(f"  {'app':<26} {'verdict':<19} {'reference':>10} {'ratio':>6} {'±':>6} held  wait error")
    missed = 0
    with downstream() as port:
        os.environ["DOWNSTREAM_PORT"] = str(port)
        for case in CASES:
            if wanted and case.name not in wanted:
                continue
            row = run(case)
            missed += bool(row.problems())
            print(row.text(), flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
