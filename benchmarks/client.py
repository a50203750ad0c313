"""What a request costs each load client in CPU, against the same server, in one run.

httpx asks the questions that one request answers; the load needs something far cheaper, or the
generator is what gets measured.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx
import uvloop

from advisor.demo.processes import free_port, program, running
from advisor.probe.address import resolve
from advisor.probe.load.engine import Engine
from benchmarks.table import Figure

CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 3


async def ours(url: str) -> tuple[float, float]:
    """CPU seconds a request, and requests a second, of the load engine."""
    engine = Engine(resolve(url))
    engine.run_at(CONNECTIONS)
    await asyncio.sleep(0.3)
    before, began, seen = time.process_time(), time.perf_counter(), len(engine.tally.latencies)
    await asyncio.sleep(SECONDS)
    done = len(engine.tally.latencies) - seen
    spent, took = time.process_time() - before, time.perf_counter() - began
    await engine.drain()
    engine.close()
    return spent / done, done / took


async def theirs(url: str) -> tuple[float, float]:
    """The same of httpx, with as many tasks over one client."""
    done = 0
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)
        before, began = time.process_time(), time.perf_counter()

        async def repeat() -> None:
            nonlocal done
            while time.perf_counter() - began < SECONDS:
                await client.get(url)
                done += 1

        await asyncio.gather(*(repeat() for _ in range(CONNECTIONS)))
        return (time.process_time() - before) / done, done / (time.perf_counter() - began)


def measure() -> list[Figure]:
    """Both clients in turn; medians."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/healthz"
    command = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    command += ["--log-level", "warning"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, url=url, log=Path(folder) / "log"),
    ):
        pairs = [(uvloop.run(ours(url)), uvloop.run(theirs(url))) for _ in range(ROUNDS)]
    engine = statistics.median(pair[0][0] for pair in pairs)
    client = statistics.median(pair[1][0] for pair in pairs)
    return [
        Figure("CPU per request, load engine", engine * 1e6, "µs"),
        Figure("CPU per request, httpx", client * 1e6, "µs"),
        Figure("load engine / httpx", engine / client, "x", most=0.1),
        Figure("rate, load engine", statistics.median(p[0][1] for p in pairs), "/s"),
        Figure("rate, httpx", statistics.median(p[1][1] for p in pairs), "/s"),
    ]
