"""How web and background work share one budget. Bytes and CPUs (fractions allowed).

CPU is shared by weight, not by a quota: a weight holds only while somebody waits for the CPU,
and what the one leaves the other may use (systemd.resource-control(5), CPUWeight: free CPU is
split among the units that want it in proportion to their weights, 100 each by default).
Memory cannot be shared like that: what background processes hold is gone for the web.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["cpu", "io"]

WEB_WEIGHT = 100
# All that computes in the background together, beside the web's 100: a request should not
# wait for a task that nobody watches.
BACKGROUND_WEIGHT = 20
# Without a measurement: threads, or processes, that wait on one core. Eight, as the web's own
# fall-back has for a worker; two, because each process holds its memory.
WAITING_THREADS = 8
WAITING_PROCESSES = 2
# An idle thread's stack takes 18 KB; one that has run tasks several times that.
THREAD_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Shares:
    """What the web may plan with, and how many processes or threads each background name runs.

    `web_cores` is what is left to the web while everybody computes. A name with 0 does not
    fit its part of the memory. `cpu_weight` is that of each background unit that computes,
    beside the web's 100; None where none does.
    """

    web_cores: float
    web_memory_bytes: int
    background: dict[str, int]
    background_memory_bytes: int
    cpu_weight: int | None


def share(cores: float, memory_bytes: int, kinds: Mapping[str, Kind], process_bytes: int) -> Shares:
    """The budget split between the web and `kinds`, by name ("celery", "rq").

    What computes gets a process a whole core, all of it together; what waits gets more, because
    a waiting process leaves its core. At least half of the memory stays the web's, and each name
    has an even part of the other half. `process_bytes` is what one worker of the app takes:
    a background process imports the same code.

    >>> share(4, 8 * 2**30, {}, 100 * 2**20).web_cores
    4
    >>> share(4, 8 * 2**30, {"rq": "cpu"}, 100 * 2**20).background
    {'rq': 4}
    """
    if not kinds:
        return Shares(cores, memory_bytes, {}, 0, None)
    computing = sum(kind == "cpu" for kind in kinds.values())
    room = memory_bytes // 2 // len(kinds)
    counts: dict[str, int] = {}
    taken = 0
    for name, kind in kinds.items():
        fixed, each = _takes(name, kind, process_bytes)
        wanted = _wanted(name, kind, max(1, math.floor(cores)), computing)
        counts[name] = max(0, min(wanted, (room - fixed) // each))
        taken += (fixed + counts[name] * each) if counts[name] else 0
    kept = WEB_WEIGHT / (WEB_WEIGHT + BACKGROUND_WEIGHT) if computing else 1
    return Shares(
        web_cores=cores * kept,
        web_memory_bytes=memory_bytes - taken,
        background=counts,
        background_memory_bytes=taken,
        cpu_weight=max(1, BACKGROUND_WEIGHT // computing) if computing else None,
    )


def _wanted(name: str, kind: Kind, whole: int, computing: int) -> int:
    if kind == "cpu":
        return max(1, whole // computing)
    return whole * (WAITING_THREADS if name == "celery" else WAITING_PROCESSES)


def _takes(name: str, kind: Kind, process_bytes: int) -> tuple[int, int]:
    """Bytes that are taken once, and by each process or thread.

    Celery has a main process beside its children (prefork), or runs threads in that one. RQ's
    worker forks a process for every job, and Python's reference counts soon make a fork's
    pages its own, so each of its workers takes twice.
    """
    one = max(1, process_bytes)
    if name == "celery":
        return one, one if kind == "cpu" else THREAD_BYTES
    return 0, 2 * one
