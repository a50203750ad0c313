"""The network interfaces that carry an app's traffic, and how much they carry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.documents import Interface
from advisor.host.tree import clean, text, under

if TYPE_CHECKING:
    from pathlib import Path

NET = "/sys/class/net"
# Flags of include/uapi/linux/if.h.
UP, LOOPBACK = 0x1, 0x8
# A tunnel or a virtual link may know no state of its own; `down` and its like carry nothing.
CARRYING = frozenset({"up", "unknown"})
BYTES_PER_MBIT = 125_000


def interfaces(root: Path) -> list[Interface]:
    """The interfaces that are up, by name, with their speed in bytes a second.

    Where the host has hardware (`device` in sysfs-class-net), bridges, tunnels and the ends
    of containers' links are left out: what they carry goes through it or stays inside. A
    container has no hardware, and its own links are listed. Virtual links report -1 or an
    error for their speed: null.
    """
    try:
        found = sorted(under(root, NET).iterdir())
    except OSError:
        return []
    up = [link for link in found if _carries(link)]
    return [
        Interface(name=clean(link.name), bytes_per_s=parse_speed(text(link / "speed")))
        for link in [link for link in up if (link / "device").exists()] or up
    ]


def parse_speed(content: str) -> int | None:
    """Bytes a second of a `speed` file, which holds Mbit/s; -1 and its unsigned twin are null.

    >>> parse_speed("1000"), parse_speed("-1"), parse_speed("4294967295")
    (125000000, None, None)
    """
    if not re.fullmatch("[1-9][0-9]{0,8}", content):
        return None
    return int(content) * BYTES_PER_MBIT


def _carries(link: Path) -> bool:
    flags = text(link / "flags")
    if not re.fullmatch("0x[0-9a-f]{1,8}", flags):
        return False
    up = int(flags, 16) & (UP | LOOPBACK) == UP
    return up and text(link / "operstate") in CARRYING
