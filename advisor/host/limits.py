"""The CPU and memory limits of one process, each with where it was read.

`pid` is the process whose limits count, never the advisor's own unless it is None; `root`
stands before /proc and /sys, so that a copied tree reads as the host it came from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from advisor.documents import Cpu, Limit, Memory, Unknown
from advisor.errors import InvalidInput
from advisor.host import cgroups, machine
from advisor.host.tree import proc, text, under

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from advisor.host.cgroups import Levels

# v1 writes "no limit" as the largest number of whole pages that fits 63 bits, which depends
# on the page size; no host has a quarter of that.
NO_LIMIT_V1_BYTES = 2**61
# What a limit file holds, no longer than 63 bits are.
NUMBER = re.compile(r"[0-9]{1,19}")
INACTIVE = re.compile(r"^((?:total_)?inactive_file) ([0-9]{1,19})$", re.MULTILINE)


@dataclass(frozen=True)
class Gauge:
    """A cgroup file that holds a limit. `read` gives None for "no limit here"."""

    controller: str
    file: str
    kind: Literal["cpuset", "quota", "max", "high"]
    read: Callable[[Path], float | None]


def _quota_v1(file: Path) -> float | None:
    quota, period = file.read_text(), (file.parent / "cpu.cfs_period_us").read_text()
    return None if quota.strip() == "-1" else _share(quota, period)


def _quota_v2(file: Path) -> float | None:
    quota, period = file.read_text().split()
    return None if quota == "max" else _share(quota, period)


def _share(quota: str, period: str) -> float:
    share = _number(quota) / max(1, _number(period))
    if not share:  # the kernel takes no quota below 1 ms
        raise ValueError(quota)
    return share


def _cpuset(file: Path) -> int | None:
    return len(machine.parse_cpu_list(file.read_text())) or None


def _bytes(file: Path) -> int | None:
    content = file.read_text().strip()
    limit = NO_LIMIT_V1_BYTES if content == "max" else _number(content)
    return None if limit >= NO_LIMIT_V1_BYTES else limit


def _number(content: str) -> int:
    if not NUMBER.fullmatch(content.strip()):
        raise ValueError(content)
    return int(content)


# Where two files of a controller and kind stand side by side, the first is the effective one.
CPU_GAUGES = (
    Gauge("cpuset", "cpuset.cpus.effective", "cpuset", _cpuset),
    Gauge("cpuset", "cpuset.effective_cpus", "cpuset", _cpuset),
    Gauge("cpuset", "cpuset.cpus", "cpuset", _cpuset),
    Gauge("cpu", "cpu.max", "quota", _quota_v2),
    Gauge("cpu", "cpu.cfs_quota_us", "quota", _quota_v1),
)
MEMORY_GAUGES = (
    Gauge("memory", "memory.max", "max", _bytes),
    Gauge("memory", "memory.high", "high", _bytes),
    Gauge("memory", "memory.limit_in_bytes", "max", _bytes),
)


def cpu(pid: int | None = None, *, root: Path = Path("/")) -> tuple[Cpu, list[Unknown]]:
    """The CPUs that the process may use, and what could not be told about them.

    `effective` is the smallest of affinity, cpuset and every quota on the way up; a quota
    above the number of CPUs does not bind.
    """
    by_controller, unknown = _levels(pid, root, ("cpuset", "cpu"))
    visible = "cpu" in by_controller and by_controller["cpu"].exact
    rows, unread = _rows(CPU_GAUGES, by_controller, root)
    online = machine.online_cpus(root)
    affinity = Limit(
        source="sched_getaffinity", kind="affinity", value=_affinity(pid, root, online)
    )
    limits = [affinity, *rows]
    binding = min((row for row in limits if row.value is not None), key=lambda row: row.value or 0)
    return (
        Cpu(
            logical=len(online),
            physical=machine.physical_cores(root),
            effective=binding.value or 1,
            quota=_quota_state(rows, known=visible and not unread),
            binding=binding.source,
            limits=limits,
            smt=machine.smt(root),
        ),
        unknown + unread,
    )


def memory(pid: int | None = None, *, root: Path = Path("/")) -> tuple[Memory, list[Unknown]]:
    """The memory that the process may use, in bytes, and what could not be told about it.

    `effective_bytes` is the smallest of the machine's memory and every `max` and `high` on
    the way up: above `high` the kernel throttles the group, so it is no room to plan with.
    Swap is the machine's, and never counted as room. `InvalidInput` where the root holds no
    /proc/meminfo.
    """
    by_controller, unknown = _levels(pid, root, ("memory",))
    rows, unread = _rows(MEMORY_GAUGES, by_controller, root)
    meminfo = machine.parse_meminfo(text(under(root, "/proc/meminfo")))
    total = meminfo.get("MemTotal")
    if not total:
        raise InvalidInput(
            f"{under(root, '/proc/meminfo')}: no line that says MemTotal",
            remedy="Mount /proc, or name the root of a whole copy.",
        )
    available = min(total, meminfo.get("MemAvailable", meminfo.get("MemFree", 0)))
    swap = meminfo.get("SwapTotal")
    machine_limit = Limit(
        source="/proc/meminfo", kind="total", value=total, used_bytes=max(0, total - available)
    )
    limits = [machine_limit, *rows]
    binding = min((row for row in limits if row.value is not None), key=lambda row: row.value or 0)
    return (
        Memory(
            total_bytes=total,
            available_bytes=available,
            effective_bytes=max(1, int(binding.value or 0)),
            binding=binding.source,
            limits=limits,
            swap_total_bytes=swap,
            swap_used_bytes=None if swap is None else max(0, swap - meminfo.get("SwapFree", swap)),
        ),
        unknown + unread,
    )


def _levels(
    pid: int | None, root: Path, controllers: Iterable[str]
) -> tuple[dict[str, Levels], list[Unknown]]:
    who = "this process" if pid is None else f"pid {pid}"
    try:
        memberships = cgroups.parse_membership(
            under(root, f"{proc(pid)}/cgroup").read_text(errors="replace")
        )
        mounts = cgroups.parse_mounts(
            under(root, "/proc/self/mountinfo").read_text(errors="replace")
        )
    except OSError as error:
        why = f"{_shown(error.filename, root)}: {error.strerror}"
        return {}, [Unknown(what=f"cgroup limits of {who}", why=why, remedy="run as root")]
    found = {name: cgroups.levels(name, memberships, mounts, root) for name in controllers}
    hidden = [name for name, levels in found.items() if not levels.exact]
    unknown = [
        Unknown(
            what=f"limits of the {' and '.join(hidden)} cgroup of {who}",
            why="its cgroup is not visible below the cgroup mounts of this process",
            remedy="run advisor on the host, or inside the container of that process",
        )
    ]
    return found, unknown if hidden else []


def _rows(
    gauges: Iterable[Gauge], by_controller: dict[str, Levels], root: Path
) -> tuple[list[Limit], list[Unknown]]:
    """One row for each limit file that exists, and an unknown for each that cannot be read."""
    rows: list[Limit] = []
    unknown: list[Unknown] = []
    seen: set[tuple[PurePosixPath, str]] = set()
    for gauge in gauges:
        levels = by_controller.get(gauge.controller)
        for directory in levels.directories if levels else ():
            file = under(root, directory / gauge.file)
            if (directory, gauge.kind) in seen or not file.is_file():
                continue
            seen.add((directory, gauge.kind))
            source = str(directory / gauge.file)
            try:
                value = gauge.read(file)
            except (OSError, ValueError) as error:
                why = (error.strerror if isinstance(error, OSError) else None) or "not understood"
                unknown.append(Unknown(what=source, why=why, remedy="run as root"))
                continue
            used = _used_bytes(file.parent) if gauge.controller == "memory" else None
            rows.append(Limit(source=source, kind=gauge.kind, value=value, used_bytes=used))
    return rows, unknown


def _used_bytes(directory: Path) -> int | None:
    """What the processes of a memory cgroup use, without page cache that is free to go.

    The kubelet's "working set" is the same sum: usage minus inactive file pages.
    """
    usage = text(directory / "memory.current") or text(directory / "memory.usage_in_bytes")
    stat = dict(INACTIVE.findall(text(directory / "memory.stat")))
    inactive = stat.get("total_inactive_file", stat.get("inactive_file"))
    if not NUMBER.fullmatch(usage) or inactive is None:
        return None
    return max(0, int(usage) - int(inactive))


def _quota_state(rows: list[Limit], *, known: bool) -> Literal["limited", "none", "unknown"]:
    if any(row.kind == "quota" and row.value is not None for row in rows):
        return "limited"
    return "none" if known else "unknown"


def _affinity(pid: int | None, root: Path, online: frozenset[int]) -> int:
    """How many CPUs sched_getaffinity(2) gives: the allowed ones that are online."""
    for line in text(under(root, f"{proc(pid)}/status")).splitlines():
        if line.startswith("Cpus_allowed_list:"):
            try:
                return len(machine.parse_cpu_list(line.partition(":")[2]) & online) or 1
            except ValueError:
                break
    return len(online)


def _shown(path: str, root: Path) -> str:
    return "/" + str(Path(path).relative_to(root))
