"""The workers' own connections to databases, caches and other services."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host import sockets

if TYPE_CHECKING:
    from collections.abc import Iterable

# sl local remote st=01 (ESTABLISHED) ... inode, as the kernel's proc_net_tcp documents it
_ESTABLISHED = re.compile(
    r"\s*\d+: [0-9A-F]+:(?P<port>[0-9A-F]{4}) \S+ 01 \S+ \S+ \S+ +\d+ +\d+ +(?P<inode>\d+) "
)


def established(text: str, *, server_port: int) -> set[int]:
    """Inodes of the established connections in a /proc/net/tcp text, the server's own left out."""
    return {
        int(match["inode"])
        for match in map(_ESTABLISHED.match, text.split("\n"))
        if match and int(match["port"], 16) != server_port
    }


def count(pids: Iterable[int], *, server_port: int) -> int | None:
    """How many TCP connections to others the processes hold; None where that may not be read."""
    total = 0
    for pid in pids:
        try:
            held = sockets.inodes(pid)
            texts = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
        except FileNotFoundError:
            continue
        except OSError:
            return None
        total += len(
            held & set().union(*(established(text, server_port=server_port) for text in texts))
        )
    return total
