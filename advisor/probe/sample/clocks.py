"""CPU clocks: of other processes, of this one, of the host, and of a cgroup's throttling."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable

_CPUCLOCK_SCHED = 2


def process_cpu_s(pid: int) -> float | None:
    """CPU seconds a process has used, ended threads included, in nanosecond steps; None if gone.

    The clock id is Linux' encoding of a process's CPU clock (clock_getcpuclockid(3)); any user
    may read it.
    """
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


def age_s(pid: int) -> float:
    """Seconds since a process began; infinite if it is gone."""
    try:
        return time.time() - psutil.Process(pid).create_time()
    except psutil.Error:
        return float("inf")


def main_thread_cpu_s(pid: int) -> float | None:
    """CPU seconds of a process's main thread, which is an event loop's; None if not told.

    schedstat, first field: the only clock of another process's thread. A main thread does not
    end before its process, so nothing is lost.
    """
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def run_queue_wait_s(pid: int) -> float:
    """Seconds the live threads of a process have waited for a CPU (schedstat, second field)."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return total / 1e9
    return total / 1e9


@dataclass(frozen=True)
class Reading:
    """All clocks at one moment, in seconds. `server` has one entry a process that still lives.

    `main` is the part of each process's main thread.
    """

    at: float
    server: dict[int, float]
    main: dict[int, float]
    client: float
    busy: float
    steal: float
    waiting: float

    @property
    def server_s(self) -> float:
        """CPU of all the server's processes."""
        return sum(self.server.values())


def read(pids: Iterable[int]) -> Reading:
    """Read every clock; the server's is that of `pids`."""
    server = {pid: used for pid in pids if (used := process_cpu_s(pid)) is not None}
    busy, steal = _host_cpu()
    return Reading(
        at=time.perf_counter(),
        server=server,
        main={pid: used for pid in server if (used := main_thread_cpu_s(pid)) is not None},
        client=time.process_time(),
        busy=busy,
        steal=steal,
        waiting=sum(run_queue_wait_s(pid) for pid in server),
    )


def _host_cpu() -> tuple[float, float]:
    """Busy and stolen CPU seconds of the whole host since boot (/proc/stat)."""
    ticks = os.sysconf("SC_CLK_TCK")
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / ticks, steal / ticks


def throttled_s(folders: Iterable[Path]) -> float:
    """Seconds a CPU quota has held back the cgroups in `folders` (`cpu.stat` of v1 and v2)."""
    total = 0.0
    for folder in folders:
        try:
            lines = (folder / "cpu.stat").read_text().split("\n")
        except OSError:
            continue
        stat = dict(line.split(None, 1) for line in lines if " " in line)
        total += int(stat.get("throttled_usec", 0)) / 1e6
        total += int(stat.get("throttled_time", 0)) / 1e9
    return total
