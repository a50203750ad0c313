"""Which connections a host holds to another, and by which of its processes.

/proc/net/tcp has each connection's other end, state and inode (the kernel's documentation,
proc_net_tcp), /proc/PID/fd whose it is.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from .processes import PROC

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

# So long none is seen before there is none: a request that a worker has begun to read may still
# make it connect.
CALM_S, POLL_S = 0.5, 0.05
CONNECTS_S = 2.0
# The kernel's tcp_states.h: ESTABLISHED and SYN_SENT.
_OPEN = {"01", "02"}


def split(peer: str) -> tuple[str, int]:
    """Address or name, and port.

    >>> split("[::1]:8080")
    ('::1', 8080)
    """
    host, _, port = peer.rpartition(":")
    return host.strip("[]"), int(port)


def answers(peer: str) -> bool:
    """Whether something there accepts a connection."""
    try:
        with socket.create_connection(split(peer), timeout=CONNECTS_S):
            return True
    except (OSError, ValueError):  # a socket of this host has no port
        return False


def come_to_rest(is_busy: Callable[[], bool], wait_s: float) -> bool:
    """Wait until nothing is seen under way; false where something still is after `wait_s`."""
    last = time.monotonic() + wait_s
    calm_since = time.monotonic()
    while (now := time.monotonic()) < last:
        if is_busy():
            calm_since = now
        elif now - calm_since >= CALM_S:
            return True
        time.sleep(POLL_S)
    return False


def ends(peer: str) -> frozenset[str]:
    """The peer's addresses as the kernel's tables write them, IPv4's also as IPv6 has it."""
    host, port = split(peer)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return frozenset()
    packed = {socket.inet_pton(family, str(where[0])) for family, _, _, _, where in found}
    mapped = {bytes(10) + b"\xff\xff" + each for each in packed if len(each) == 4}
    return frozenset(f"{_hexadecimal(each)}:{port:04X}" for each in packed | mapped)


def _hexadecimal(packed: bytes) -> str:
    r"""Words of four bytes, each in the machine's order.

    >>> _hexadecimal(b"\x7f\x00\x00\x01") in {"0100007F", "7F000001"}
    True
    """
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def held(ends: Collection[str], pids: Collection[int]) -> bool:
    """Whether one of these processes holds a connection to one of these ends."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(ends)}
    return any(not sockets.isdisjoint(_descriptors(pid)) for pid in pids if sockets)


def _inodes(ends: Collection[str]) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):  # a kernel without IPv6 has no tcp6
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[2] in ends and fields[3] in _OPEN:
                    yield fields[9]


def _descriptors(pid: int) -> Iterator[str]:
    with suppress(OSError):  # the process, or a descriptor, is gone
        for each in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                yield str(each.readlink())
