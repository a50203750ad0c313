"""What machine this is, read from /proc, /sys and /etc below a root."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING

from advisor.documents import Host
from advisor.host.tree import text, under

if TYPE_CHECKING:
    from pathlib import Path

TOPOLOGY = "/sys/devices/system/cpu"


def parse_cpu_list(content: str) -> frozenset[int]:
    """The CPUs of a kernel list such as `0-3,8`; `ValueError` for anything else.

    >>> sorted(parse_cpu_list("0-2,8"))
    [0, 1, 2, 8]
    """
    cpus: set[int] = set()
    for part in filter(None, content.strip().split(",")):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def parse_meminfo(content: str) -> dict[str, int]:
    """/proc/meminfo in bytes, by its own names; counts without a unit are left out."""
    rows = (line.replace(":", " ").split() for line in content.splitlines())
    return {row[0]: int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


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
        arch=platform.machine(),
    )


def online_cpus(root: Path) -> frozenset[int]:
    """The CPUs that are online; where /sys does not say, as many as Python counts."""
    try:
        return parse_cpu_list(under(root, f"{TOPOLOGY}/online").read_text())
    except (OSError, ValueError):
        return frozenset(range(os.cpu_count() or 1))


def physical_cores(root: Path) -> int | None:
    """Distinct (package, core) pairs among the online CPUs; null where /sys does not say."""
    cores = set()
    for cpu in online_cpus(root):
        topology = under(root, f"{TOPOLOGY}/cpu{cpu}/topology")
        package, core = text(topology / "physical_package_id"), text(topology / "core_id")
        if not package or not core:
            return None
        cores.add((package, core))
    return len(cores)
