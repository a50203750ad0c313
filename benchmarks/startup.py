"""How long the commands take to start, and what a probe costs. Figures are of whole processes.

Start-up is a ratio to `python -c 'import typer'` on the same interpreter, run in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from advisor.demo.processes import free_port, program, running
from benchmarks.table import Figure

RUNS = 15
ADVISOR = [sys.executable, "-m", "advisor"]


def seconds(command: list[str]) -> float:
    """Wall seconds of one run, its output thrown away."""
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - began


def start_up() -> list[Figure]:
    """`advisor --help` against the import of typer, and `recommend` without a URL."""
    help_, typer = [], []
    for _ in range(RUNS):
        help_.append(seconds([*ADVISOR, "--help"]))
        typer.append(seconds([sys.executable, "-c", "import typer"]))
    ratio = statistics.median(help_) / statistics.median(typer)
    port = free_port()
    command = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, url=f"http://127.0.0.1:{port}/healthz", log=Path(folder) / "log"),
    ):
        recommend = statistics.median(seconds([*ADVISOR, "recommend"]) for _ in range(5))
    return [
        Figure("advisor --help / python -c 'import typer'", ratio, "x", most=3),
        Figure("advisor recommend, without a URL", recommend, "s", most=1),
    ]


def probe() -> list[Figure]:
    """Duration and memory of a probe of the bundled async app."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/items"
    command = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, url=url, log=Path(folder) / "log"),
    ):
        began = time.perf_counter()
        process = subprocess.Popen(
            [*ADVISOR, "probe", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, _, usage = os.wait4(process.pid, 0)
        took = time.perf_counter() - began
    return [
        Figure("advisor probe, duration", took, "s", most=30),
        Figure("advisor probe, peak memory", usage.ru_maxrss / 1024, "MB", most=150),
    ]
