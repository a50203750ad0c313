"""The workers' own connections to databases, caches and other services."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host import sockets
from advisor.host.tree import link
from advisor.probe.sample import traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

# sl local remote st=01 (ESTABLISHED) ... inode, as the kernel's proc_net_tcp documents it
_ESTABLISHED = re.compile(
    r"\s*\d+: [0-9A-F]+:(?P<port>[0-9A-F]{4}) \S+ 01 \S+ \S+ \S+ +\d+ +\d+ +(?P<inode>\d+) "
)


def parse(text: str) -> dict[int, int]:
    """Inode: own port of the established connections in a /proc/net/tcp text."""
    return {
        int(match["inode"]): int(match["port"], 16)
        for match in map(_ESTABLISHED.match, text.split("\n"))
        if match
    }


def count(pids: Iterable[int], *, server_port: int) -> int | None:
    """How many TCP connections to others the processes hold; None where that may not be read."""
    total = 0
    known: dict[str, frozenset[int]] = {}
    for pid in pids:
        try:
            held, network = sockets.inodes(pid), _network(pid)
            if network not in known:
                known[network] = _to_others(pid, network, server_port)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        total += len(held & known[network])
    return total


def _network(pid: int | str) -> str:
    return link(Path(f"/proc/{pid}/ns/net"))


def _to_others(pid: int, network: str, server_port: int) -> frozenset[int]:
    """Inodes of the connections in a network namespace that are not at the server's port.

    The kernel tells of our own at once, where it is asked (gVisor's does not answer); of a
    container's its process has a text.
    """
    ports: dict[int, int] | None = None
    if network == _network("self"):
        with suppress(OSError):
            ports = {inode: port for inode, ((_, port), _) in traffic.established().items()}
    if ports is None:
        texts = (Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6"))
        ports = {inode: port for text in texts for inode, port in parse(text).items()}
    return frozenset(inode for inode, port in ports.items() if port != server_port)
