"""What a request costs each load client in CPU, against the same server, in one run.

httpx asks the questions that one request answers; the load needs something far cheaper, or the
generator is what gets measured. wrk and h2load are C, and the measure of what is possible.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import uvloop

from advisor.demo.processes import free_port, parse_wrk, program, running
from advisor.probe.address import resolve
from advisor.probe.load.engine import Engine
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECTIONS = 16
SECONDS = 3
ROUNDS = 3


@dataclass(frozen=True)
class Score:
    """CPU seconds a request of the client, requests a second, and response times in seconds."""

    cpu_s: float
    rps: float
    p50_s: float
    p99_s: float


def score(latencies: Sequence[float], cpu_s: float, seconds: float) -> Score:
    ordered = sorted(latencies)
    count = len(ordered)
    return Score(
        cpu_s / count,
        count / seconds,
        ordered[count // 2],
        ordered[min(count - 1, count * 99 // 100)],
    )


async def ours(url: str) -> Score:
    """The load engine."""
    engine = Engine(resolve(url))
    engine.run_at(CONNECTIONS)
    await asyncio.sleep(0.3)
    before, began, seen = time.process_time(), time.perf_counter(), len(engine.tally.latencies)
    await asyncio.sleep(SECONDS)
    latencies = engine.tally.latencies[seen:]
    spent, took = time.process_time() - before, time.perf_counter() - began
    await engine.drain()
    engine.close()
    return score(latencies, spent, took)


async def httpx_client(url: str) -> Score:
    """As many tasks over one shared httpx client."""
    latencies: list[float] = []
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)
        before, began = time.process_time(), time.perf_counter()

        async def repeat() -> None:
            while time.perf_counter() - began < SECONDS:
                sent = time.perf_counter()
                await client.get(url)
                latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(repeat() for _ in range(CONNECTIONS)))
        return score(latencies, time.process_time() - before, time.perf_counter() - began)


def run(command: Sequence[str]) -> tuple[str, float]:
    """What a program prints, and its CPU seconds."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = os.times()
    used = after.children_user + after.children_system
    return done.stdout, used - before.children_user - before.children_system


def wrk(url: str) -> Score:
    command = [program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", url]
    text, cpu_s = run(command)
    seen = parse_wrk(text)
    return Score(cpu_s / (seen.rps * SECONDS), seen.rps, seen.p50_s, seen.p99_s)


def h2load(url: str) -> Score:
    """h2load over HTTP/1.1; its log has start, status and microseconds of each request."""
    with tempfile.NamedTemporaryFile() as log:
        command = [program("h2load"), "--h1", f"-c{CONNECTIONS}", "-t1", f"-D{SECONDS}"]
        _, cpu_s = run([*command, f"--log-file={log.name}", url])
        rows = Path(log.name).read_text(encoding="utf-8").splitlines()
    return score([int(row.split()[2]) / 1e6 for row in rows], cpu_s, SECONDS)


def measure() -> list[Figure]:
    """Every client in turn; medians."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/healthz"
    command = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    command += ["--log-level", "warning"]
    seen: dict[str, list[Score]] = {}
    with (
        one_scheduler_group(),
        tempfile.TemporaryDirectory() as folder,
        running(command, url=url, log=Path(folder) / "log"),
    ):
        for _ in range(ROUNDS):
            seen.setdefault("load engine", []).append(uvloop.run(ours(url)))
            seen.setdefault("httpx", []).append(uvloop.run(httpx_client(url)))
            seen.setdefault("wrk", []).append(wrk(url))
            seen.setdefault("h2load", []).append(h2load(url))
    return list(figures(seen))


def figures(seen: dict[str, list[Score]]) -> list[Figure]:
    def median(client: str, name: str) -> float:
        return statistics.median(getattr(score, name) for score in seen[client])

    rows = [
        Figure(f"{what}, {client}", median(client, name) * scale, unit)
        for what, name, scale, unit in (
            ("CPU per request", "cpu_s", 1e6, "us"),
            ("rate", "rps", 1, "/s"),
            ("p50", "p50_s", 1e3, "ms"),
            ("p99", "p99_s", 1e3, "ms"),
        )
        for client in seen
    ]
    engine = median("load engine", "cpu_s")
    return [
        *rows,
        Figure("CPU, load engine / httpx", engine / median("httpx", "cpu_s"), "x", most=0.1),
        Figure("CPU, load engine / wrk", engine / median("wrk", "cpu_s"), "x"),
        Figure("rate, load engine / wrk", median("load engine", "rps") / median("wrk", "rps"), "x"),
    ]
