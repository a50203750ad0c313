"""Listening sockets, from /proc/net, and the processes that hold them."""

from __future__ import annotations

import ipaddress
import os
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host.tree import LIVE, link, proc, under

if TYPE_CHECKING:
    from collections.abc import Iterable

# proc_net_tcp in the kernel's documentation: state 0A is LISTEN.
TCP_LISTENER = re.compile(
    r"\s*\d+: (?P<address>(?:[0-9A-F]{8}){1,4}):(?P<port>[0-9A-F]{4}) [0-9A-F]+:0000 0A"
    r" \S+ \S+ \S+ +(?P<uid>\d+) +\d+ +(?P<inode>\d+) "
)
UNIX = re.compile(r"[0-9a-f]+: \S+ \S+ (?P<flags>[0-9A-F]{8}) \S+ \S+ +(?P<inode>\d+) (?P<path>.+)")
UNIX_ACCEPTS = 0x10000  # __SO_ACCEPTCON, include/uapi/linux/net.h


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket; `uid` is who made it."""

    address: Address
    port: int
    uid: int
    inode: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class UnixListener:
    """A listening unix socket; an abstract one begins with `@`."""

    path: str
    inode: int

    def __str__(self) -> str:
        return f"unix:{self.path}"


def parse_tcp(text: str, *, byteorder: str = sys.byteorder) -> list[Listener]:
    """The listening sockets of a /proc/net/tcp or tcp6 text.

    The kernel prints each address as words of 32 bits in the machine's byte order; a v4
    address mapped into v6 is given as the v4 address that it is.
    """
    return [
        Listener(
            address=_address(match["address"], byteorder),
            port=int(match["port"], 16),
            uid=int(match["uid"]),
            inode=int(match["inode"]),
        )
        for match in map(TCP_LISTENER.match, text.split("\n"))
        if match
    ]


def parse_unix(text: str) -> list[UnixListener]:
    """The listening sockets of a /proc/net/unix text that have a name."""
    return [
        UnixListener(path=match["path"], inode=int(match["inode"]))
        for match in map(UNIX.match, text.split("\n"))
        if match and int(match["flags"], 16) & UNIX_ACCEPTS
    ]


def listening(pid: int | None = None, root: Path = LIVE) -> list[Listener | UnixListener]:
    """Every listening TCP and unix socket of a process's network namespace.

    None is the advisor's own. `OSError` where the process is gone; a kernel without IPv6 or
    unix sockets simply has none.
    """
    net = under(root, f"{proc(pid)}/net")
    texts = {name: _text(net / name) for name in ("tcp", "tcp6", "unix")}
    return [*parse_tcp(texts["tcp"]), *parse_tcp(texts["tcp6"]), *parse_unix(texts["unix"])]


def inodes(pid: int, root: Path = LIVE) -> frozenset[int]:
    """The sockets that a process holds; `OSError` where that may not be read."""
    held = set()
    with os.scandir(under(root, f"{proc(pid)}/fd")) as descriptors:
        for descriptor in descriptors:
            try:
                name = link(Path(descriptor.path))  # no path, but "socket:[12]"
            except FileNotFoundError:  # closed meanwhile
                continue
            if name.startswith("socket:["):
                held.add(int(name[8:-1]))
    return frozenset(held)


def holders(pids: Iterable[int], wanted: frozenset[int]) -> list[int]:
    """Those of the processes that can be seen to hold one of the sockets."""
    found = []
    for pid in pids:
        try:
            if inodes(pid) & wanted:
                found.append(pid)
        except OSError:  # not ours to read, or gone meanwhile
            continue
    return found


def accepting(
    listeners: Iterable[Listener | UnixListener], address: Address, port: int
) -> list[Listener]:
    """The sockets that a connection to `address` and `port` can reach.

    As the kernel chooses: one bound to the address itself, else the family's wildcard, else,
    for an IPv4 address, a v6 wildcard (dual stack, the default of net.ipv6.bindv6only). More
    than one where they share the port (SO_REUSEPORT).
    """
    at_port = [
        listener
        for listener in listeners
        if isinstance(listener, Listener) and listener.port == port
    ]
    wildcard = ipaddress.ip_address("0.0.0.0" if address.version == 4 else "::")  # noqa: S104 - IPv4; compared, never bound
    for wanted in (address, wildcard, ipaddress.ip_address("::")):
        if reached := [listener for listener in at_port if listener.address == wanted]:
            return reached
    return []


def _address(digits: str, byteorder: str) -> Address:
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    order = "<" if byteorder == "little" else ">"
    packed = struct.pack(f"{order}{len(words)}I", *words)
    address = ipaddress.ip_address(packed)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        if path.parent.exists():
            return ""
        raise
