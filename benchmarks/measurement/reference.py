"""The reference: the processes' own clocks over the requests that wrk completed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import psutil

from advisor.demo.processes import referee
from advisor.probe.sample.clocks import process_cpu_s

REFERENCE_CPU_S = 1.0
SECONDS = (3, 25)
MOST_DRAIN_S = 10
# The probe's own, so that wrk asks the same: Gunicorn's parser takes some 10 µs for each header.
HEADERS = ("User-Agent: advisor", "Accept: */*")


@dataclass(frozen=True)
class Half:
    """CPU seconds for each request that wrk completed, and when (monotonic seconds)."""

    cpu_s: float
    span: tuple[float, float]


class Processes:
    """A server's processes, once all have booted."""

    def __init__(self, pid: int) -> None:
        time.sleep(2.5)  # its workers import
        self.all = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def used(self) -> float:
        """CPU seconds so far."""
        return sum(process_cpu_s(process.pid) or 0.0 for process in self.all)

    def reference_half(self, url: str, connections: int) -> Half:
        """Half of the reference: at least half a second of CPU."""
        began = self.used()
        warm_up = referee(url, seconds=1, connections=connections)
        cores = self.used() - began
        # What wrk leaves unanswered is served all the same, and would count as the next load's CPU:
        # 3 % more a request at 16 connections of 10 ms each, and 3 to 4 % at 256 that wait.
        time.sleep(min(MOST_DRAIN_S, 1.5 * connections / max(warm_up.rps, 1.0)))
        least, most = SECONDS
        seconds = math.ceil(min(most, max(least, REFERENCE_CPU_S / 2 / max(cores, 1e-3))))
        before, started = self.used(), time.monotonic()
        score = referee(url, seconds=seconds, connections=connections, headers=HEADERS)
        spent, ended = self.used() - before, time.monotonic()
        if spent < 0.45 * REFERENCE_CPU_S:
            print(f"  (half of the reference below rests on {spent:.2f} s of CPU)")
        return Half(spent / max(1, score.requests), (started, ended))
