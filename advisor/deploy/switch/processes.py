"""The processes of a service as /proc shows them: whose children, since when, how busy."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")

Processes = dict[int, "Process"]


@dataclass(frozen=True)
class Process:
    """One process; `started_s` is in seconds since boot, `cpu_s` what it has used so far."""

    pid: int
    parent: int
    started_s: float
    cpu_s: float
    command: str


def now_s() -> float:
    """Seconds since boot, the clock that processes' starts are told by (proc(5), starttime)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall_clock(started_s: float) -> float:
    """The same moment as files' times are told."""
    return time.time() - now_s() + started_s


def snapshot(proc: Path = PROC) -> Processes:
    """Every process that is there and no zombie."""
    found = (_process(entry) for entry in proc.iterdir() if entry.name.isdecimal())
    return {process.pid: process for process in found if process is not None}


def children(pid: int, among: Processes) -> Processes:
    """The direct children."""
    return {each.pid: each for each in among.values() if each.parent == pid}


def tree(pid: int, among: Processes) -> Processes:
    """A process and all that it started, however deep."""
    return {each.pid: each for each in _tree(pid, among)}


def _tree(pid: int, among: Processes) -> Iterator[Process]:
    if pid in among:
        yield among[pid]
    for child in children(pid, among):
        yield from _tree(child, among)


def _process(entry: Path) -> Process | None:
    """The fields of stat behind the name, which may hold anything but ends with the last `)`."""
    try:
        stat = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return None
    if stat[0] in {b"Z", b"X"}:
        return None
    return Process(
        pid=int(entry.name),
        parent=int(stat[1]),
        started_s=int(stat[19]) / TICKS,
        cpu_s=(int(stat[11]) + int(stat[12])) / TICKS,
        command=command.strip(),
    )
