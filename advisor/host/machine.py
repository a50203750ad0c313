"""What machine this is, read from /proc, /sys and /etc below a root."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from advisor.documents import Host
from advisor.host.tree import text, under

if TYPE_CHECKING:
    from pathlib import Path

TOPOLOGY = "/sys/devices/system/cpu"
CPU_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
# core_cpus_list is the name since Linux 5.3, thread_siblings_list the one before.
SIBLINGS = ("core_cpus_list", "thread_siblings_list")


def parse_cpu_list(content: str) -> frozenset[int]:
    """The CPUs of a kernel list such as `0-3,8`; `ValueError` for anything else.

    >>> sorted(parse_cpu_list("0-2,8"))
    [0, 1, 2, 8]
    """
    cpus: set[int] = set()
    for part in filter(None, content.strip().split(",")):
        match = CPU_RANGE.fullmatch(part)
        if match is None:
            raise ValueError(part)
        cpus.update(range(int(match["first"]), int(match["last"] or match["first"]) + 1))
    return frozenset(cpus)


def parse_meminfo(content: str) -> dict[str, int]:
    """/proc/meminfo in bytes, by its own names; counts without a unit are left out.

    >>> parse_meminfo("MemTotal:  2 kB")
    {'MemTotal': 2048}
    """
    rows = re.findall(r"^([\w()]+): +([0-9]{1,15}) kB$", content, re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in rows}


def parse_os_release(content: str) -> str:
    """Name and version of an os-release(5) text, as in `Debian GNU/Linux 12`."""
    pairs = (line.partition("=") for line in content.splitlines())
    fields = {key.strip(): value.strip().strip("'\"") for key, _, value in pairs}
    return f"{fields.get('NAME', 'Linux')} {fields.get('VERSION_ID', '')}".strip()


def host(root: Path) -> Host:
    """Name, operating system, kernel and architecture."""
    return Host(
        name=text(under(root, "/proc/sys/kernel/hostname")) or platform.node() or "unknown",
        os=parse_os_release(
            text(under(root, "/etc/os-release")) or text(under(root, "/usr/lib/os-release"))
        ),
        kernel=text(under(root, "/proc/sys/kernel/osrelease")) or platform.release(),
        arch=text(under(root, "/proc/sys/kernel/arch")) or platform.machine(),
    )


def online_cpus(root: Path) -> frozenset[int]:
    """The CPUs that are online; where /sys does not say, as many as Python counts."""
    try:
        online = parse_cpu_list(text(under(root, f"{TOPOLOGY}/online")))
    except ValueError:
        online = frozenset()
    return online or frozenset(range(os.cpu_count() or 1))


def physical_cores(root: Path) -> int | None:
    """Distinct cores among the online CPUs; null where /sys does not say.

    CPUs of one core share a list of siblings. The (package, core) pair is only the fall-back:
    cores of two dies in a package, or of two clusters on ARM, may bear the same number.
    """
    cores = {_siblings(root, cpu) or _numbered(root, cpu) for cpu in online_cpus(root)}
    return None if None in cores else len(cores)


def smt(root: Path) -> bool | None:
    """Whether two online CPUs share a core; null where neither the kernel nor /sys says."""
    active = text(under(root, f"{TOPOLOGY}/smt/active"))
    if active in {"0", "1"}:
        return active == "1"
    cores = physical_cores(root)
    return None if cores is None else cores < len(online_cpus(root))


def _siblings(root: Path, cpu: int) -> str | None:
    topology = under(root, f"{TOPOLOGY}/cpu{cpu}/topology")
    return next(filter(None, (text(topology / name) for name in SIBLINGS)), None)


def _numbered(root: Path, cpu: int) -> tuple[str, str] | None:
    topology = under(root, f"{TOPOLOGY}/cpu{cpu}/topology")
    package, core = text(topology / "physical_package_id"), text(topology / "core_id")
    return (package, core) if package and core else None
