"""What the workers move to and from disks, what the disks did, and which way clients come in."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Interface
from advisor.host.interfaces import NET, parse_speed
from advisor.host.tree import proc, text, under

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

SECTOR_BYTES = 512  # of /proc/diskstats, whatever the disk's own
# Memory, or another disk's image, carries nothing itself.
_DEVICE = re.compile(r"(?!(?:loop|z?ram)\d)[!-~]{1,32}")
_IO = re.compile(r"^(?:read|write)_bytes: (\d{1,19})$", re.ASCII | re.MULTILINE)
_COUNT = re.compile(r"\d{1,19}", re.ASCII)
_ROUTE_UP, _ROUTE_REJECT = 0x1, 0x200  # include/uapi/linux/route.h
_HEX = re.compile(r"[0-9A-Fa-f]{1,8}")
# A name becomes part of a path: no slash, nothing that a terminal would obey.
_NAME = re.compile(r"(?!\.{1,2}$)[!-.0-~]{1,15}")


@dataclass(frozen=True)
class Device:
    """A whole disk since boot: bytes moved both ways, and seconds with something to do."""

    moved_bytes: int
    busy_s: float


@dataclass(frozen=True)
class DiskSample:
    """After so many answers: what the workers have moved (None where denied), and all disks."""

    at_s: float
    requests: int
    moved_bytes: int | None
    devices: Mapping[str, Device]


def sample(pids: Sequence[int], *, requests: int) -> DiskSample:
    """Read the workers' and the disks' counters, after `requests` answers."""
    return DiskSample(
        at_s=time.perf_counter(),
        requests=requests,
        moved_bytes=moved(pids),
        devices=parse_devices(text(Path("/proc/diskstats"))),
    )


def moved(pids: Sequence[int]) -> int | None:
    """Bytes that processes had the disks read and write; None where one may not be read.

    Bytes served from the page cache are not among them; written ones count when they are
    handed to the page cache (proc_pid_io(5)).
    """
    total = 0
    for pid in pids:
        try:
            found = _IO.findall(Path(proc(pid), "io").read_text(errors="replace"))
        except OSError:
            return None
        total += sum(map(int, found))
    return total


def parse_devices(content: str) -> dict[str, Device]:
    r"""The whole disks in a /proc/diskstats text: partitions, images and memory left out.

    Fields as the kernel's iostats.rst numbers them: 3 and 7 are sectors, 10 is the
    milliseconds with requests in flight.

    >>> parse_devices("8 0 sda 1 0 2 0 1 0 6 0 0 500 0\n8 1 sda1 1 0 2 0 1 0 6 0 0 500 0")
    {'sda': Device(moved_bytes=4096, busy_s=0.5)}
    """
    found: dict[str, Device] = {}
    for line in content.splitlines():
        words = line.split()
        name, counts = "".join(words[2:3]), words[3:14]
        if len(counts) == 11 and _DEVICE.fullmatch(name) and all(map(_COUNT.fullmatch, counts)):
            moved_bytes = (int(counts[2]) + int(counts[6])) * SECTOR_BYTES
            found[name] = Device(moved_bytes, int(counts[9]) / 1000)
    return {name: device for name, device in found.items() if not _is_partition(name, found)}


def default_interface(root: Path = Path("/")) -> Interface | None:
    """The interface of the host's default route, where the app's real clients come in.

    The one of the lowest metric, IPv4 before IPv6; None without a default route. Its speed is
    null where it reports none, as virtual links do.
    """
    name = parse_route(text(under(root, "/proc/net/route"))) or parse_ipv6_route(
        text(under(root, "/proc/net/ipv6_route"))
    )
    if name is None:
        return None
    return Interface(name=name, bytes_per_s=parse_speed(text(under(root, f"{NET}/{name}/speed"))))


def parse_route(content: str) -> str | None:
    """The default route's interface in a /proc/net/route text (route(8)); None for none.

    >>> parse_route("eth0 00000000 010200C0 0003 0 0 100 00000000 0 0 0")
    'eth0'
    """
    rows = (line.split() for line in content.splitlines())
    return _best(
        (row[0], row[3], int(row[6]))
        for row in rows
        if len(row) >= 8
        and (row[1], row[7]) == ("00000000", "00000000")
        and _COUNT.fullmatch(row[6])
    )


def parse_ipv6_route(content: str) -> str | None:
    """The default route's interface in a /proc/net/ipv6_route text; None for none.

    >>> zero = "0" * 32
    >>> parse_ipv6_route(f"{zero} 00 {zero} 00 {zero} 00000400 00000003 00000000 00000003 eth0")
    'eth0'
    """
    rows = (line.split() for line in content.splitlines())
    return _best(
        (row[9], row[8], int(row[5], 16))
        for row in rows
        if len(row) == 10 and (row[0], row[1]) == ("0" * 32, "00") and _HEX.fullmatch(row[5])
    )


def _best(routes: Iterable[tuple[str, str, int]]) -> str | None:
    """The interface of the usable route with the lowest metric: (name, flags, metric) each."""
    usable = [
        (metric, name)
        for name, flags, metric in routes
        if _HEX.fullmatch(flags)
        and int(flags, 16) & (_ROUTE_UP | _ROUTE_REJECT) == _ROUTE_UP
        and _NAME.fullmatch(name)
    ]
    return min(usable)[1] if usable else None


def _is_partition(name: str, devices: Collection[str]) -> bool:
    """sda1 of sda, nvme0n1p1 of nvme0n1: a `p` between where the disk's name ends in a digit."""
    disk = name.rstrip("0123456789")
    if disk.endswith("p") and disk[-2:-1].isdigit():
        disk = disk[:-1]
    return disk != name and disk in devices
