"""Does anybody else talk to this port? Asked of the kernel, by netlink socket diagnosis.

Others' traffic is a new connection that is not ours, or growing byte counts on one; never
CPU, an old TIME_WAIT or an idle connection. Any user may ask (sock_diag(7)).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_INFO = 2
_TIME_WAIT = 6
_ALL_STATES = 0xFFF & ~(1 << 10)  # but listening ones
_HEADER = struct.Struct("=IHHII")
# family, state, timer, retrans | sport, dport, src, dst | ... : struct inet_diag_msg
_MESSAGE = struct.Struct("=BBBB2s2s16s16s")
_MESSAGE_SIZE = 72
_BYTES_ACKED_OFFSET = 120  # in struct tcp_info; bytes_received follows
_ESTABLISHED = 1
_INODE = slice(68, 72)  # idiag_inode, the last field of struct inet_diag_msg

Peer = tuple[str, int]


@dataclass(frozen=True)
class Connection:
    """One TCP connection at the server's port: who is at the other end, bytes moved so far."""

    peer: Peer
    bytes_moved: int


def connections(port: int, *, ended: bool = True) -> list[Connection]:
    """The TCP connections at local `port` of this network namespace; `OSError` if not told.

    With `ended`, those in TIME_WAIT too, on either side: one from this host whose client has
    closed it is left on the client's side only. Under load there can be tens of thousands.
    """
    states = _ALL_STATES if ended else _ALL_STATES & ~(1 << _TIME_WAIT)
    found = {
        _end(payload, remote=True): _bytes_moved(payload[_MESSAGE_SIZE:])
        for payload in _dump(states, source_port=port)
    }
    for payload in _dump(1 << _TIME_WAIT, target_port=port) if ended else ():
        server, client = _end(payload, remote=True), _end(payload, remote=False)
        if server[0] == client[0] or ipaddress.ip_address(server[0]).is_loopback:
            found.setdefault(client, 0)
    return [Connection(peer, moved) for peer, moved in found.items()]


def established(port: int = 0) -> dict[int, tuple[Peer, Peer]]:
    """Own end and other end of each established connection at local `port`, or any: by inode.

    One that nobody has accepted yet has inode 0, which nobody holds. `OSError` if not told. The
    ended cost nothing, unlike in /proc/net/tcp: 14,000 in TIME_WAIT took a loaded probe 0.7 s.
    """
    return {
        int.from_bytes(payload[_INODE], sys.byteorder): (
            _end(payload, remote=False),
            _end(payload, remote=True),
        )
        for payload in _dump(1 << _ESTABLISHED, source_port=port)
    }


def _end(payload: bytes, *, remote: bool) -> Peer:
    family, *_, source_port, target_port, source, target = _MESSAGE.unpack_from(payload)
    port, raw = (target_port, target) if remote else (source_port, source)
    return _plain(raw[:4] if family == socket.AF_INET else raw), int.from_bytes(port, "big")


def _plain(raw: bytes) -> str:
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _dump(states: int, *, source_port: int = 0, target_port: int = 0) -> Iterator[bytes]:
    """The inet_diag_msg, and what follows it, of every TCP socket in these states; `OSError`."""
    for family in (socket.AF_INET, socket.AF_INET6):
        ports = source_port.to_bytes(2, "big") + target_port.to_bytes(2, "big")
        info = 1 << (_INET_DIAG_INFO - 1)
        yield from _ask(
            struct.pack("=BBBBI", family, socket.IPPROTO_TCP, info, 0, states)
            + ports
            + bytes(32 + 4)  # any address, any interface
            + b"\xff" * 8,  # no cookie
        )


def _ask(request: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(2)
        size = _HEADER.size + len(request)
        header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0)
        netlink.send(header + request)
        while True:
            data = netlink.recv(1 << 18)
            while data:
                length, kind = _HEADER.unpack_from(data)[:2]
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    raise OSError("the kernel does not tell about its sockets")
                yield data[_HEADER.size : length]
                data = data[(length + 3) & ~3 :]


def _bytes_moved(attributes: bytes) -> int:
    """`bytes_acked + bytes_received` of the INET_DIAG_INFO attribute; 0 for a TIME_WAIT."""
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _INET_DIAG_INFO and length >= 4 + _BYTES_ACKED_OFFSET + 16:
            acked, received = struct.unpack_from("=QQ", attributes, 4 + _BYTES_ACKED_OFFSET)
            return int(acked + received)
        attributes = attributes[max(4, (length + 3) & ~3) :]
    return 0


@dataclass
class Watch:
    """Remembers the connections at a port and tells when others' begin or move bytes.

    `ours` is the set of our own (address, port) pairs, kept by the load engine. A new
    connection counts only when a second look still does not know it as ours: the kernel
    shows it before the engine has noted it.
    """

    port: int
    ours: Callable[[], set[Peer]]
    seen: str | None = None
    _known: dict[Peer, int] = field(default_factory=dict)
    _suspects: set[Peer] = field(default_factory=set)
    _began: bool = False

    def look(self, *, ended: bool = True) -> str | None:
        """What others' traffic has been seen so far, in words; None for none.

        `ended` looks for connections that have come and gone too: dear under load. Raises
        `OSError` where the kernel does not tell.
        """
        now = {c.peer: c.bytes_moved for c in connections(self.port, ended=ended)}
        ours = self.ours()
        others = {peer: moved for peer, moved in now.items() if peer not in ours}
        fresh = (self._suspects - ours) if self._began else set()
        grown = [peer for peer, moved in others.items() if moved > self._known.get(peer, moved)]
        if fresh or grown:
            peer = next(iter(fresh or grown))
            event = "a new connection" if fresh else "requests on a connection"
            self.seen = self.seen or f"{event} from {peer[0]} port {peer[1]}"
        if self._began:
            self._suspects = {peer for peer in others if peer not in self._known} - fresh
        self._known |= others
        self._began = True
        return self.seen
