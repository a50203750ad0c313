"""Where Redis listens: by its processes' sockets, its title, its usual port, or a URL."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from advisor.documents import Unknown
from advisor.host import processes, sockets
from advisor.host.sockets import Listener, UnixListener

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from advisor.host.processes import Process

VARIABLE = "ADVISOR_REDIS_URL"
NAMES = frozenset({"redis-server", "valkey-server", "keydb-server"})
PORT = 6379
EXAMPLE = f"redis://USER:PASSWORD@127.0.0.1:{PORT} or unix://USER:PASSWORD@/PATH"
LOOPBACK = tuple(map(ipaddress.ip_address, ("127.0.0.1", "::1")))
# The server rewrites its command line (proc-title-template), which every user may read.
TITLE = re.compile(
    r"\S*(?:redis|valkey|keydb)-server (?:unixsocket:(?P<path>/\S+)|\S*:(?P<port>[0-9]{1,5}))"
)


@dataclass(frozen=True)
class Credentials:
    """What a URL says beside the place; never printed."""

    username: str | None = field(repr=False)
    password: str | None = field(repr=False)


@dataclass(frozen=True)
class Place:
    """The sockets of one server, as they are reached, and what to say at which of them."""

    sockets: tuple[Listener | UnixListener, ...]
    credentials: Mapping[str, Credentials] = field(default_factory=dict)


def find() -> tuple[list[Place], list[Unknown]]:
    """Each server's place once, and the servers that cannot be reached."""
    try:
        listeners = sockets.listening()
    except OSError:
        return [], []
    places: list[Place] = []
    unknown: list[Unknown] = []
    taken: set[int] = set()
    rows = processes.table()
    servers = {pid: row for pid, row in rows.items() if row.name in NAMES}
    for process in servers.values():
        if process.parent in servers:  # a child that writes a snapshot
            continue
        held, gaps = _held(process, listeners)
        taken |= {socket.inode for socket in held}
        reached = reachable(held)
        places += [Place(reached)] if reached else []
        unknown += gaps if reached or gaps else [_unreachable(process)]
    places += usual(listeners, taken)
    first, gaps = named(os.environ.get(VARIABLE, ""), listeners)
    return _merged(first, places), unknown + gaps


def usual(listeners: Iterable[Listener | UnixListener], taken: set[int]) -> list[Place]:
    """The usual port where something else is seen to listen: a container's proxy, say."""
    listeners = list(listeners)
    for address in LOOPBACK:
        for socket in sockets.accepting(listeners, address, PORT)[:1]:
            if socket.inode not in taken:
                return [Place((replace(socket, address=address),))]
    return []


def reachable(held: Iterable[Listener | UnixListener]) -> tuple[Listener | UnixListener, ...]:
    """The sockets on loopback, wildcards as it, then those with a path; lower ports first.

    A cluster's bus and a TLS port are higher by custom.
    """
    tcp = [_as_loopback(socket) for socket in held if isinstance(socket, Listener)]
    near = [socket for socket in tcp if socket.address.is_loopback]
    near.sort(key=lambda socket: (socket.port, socket.address.version, str(socket)))
    paths = [
        socket
        for socket in held
        if isinstance(socket, UnixListener) and socket.path.startswith("/")
    ]
    return (*near, *paths)


def _as_loopback(listener: Listener) -> Listener:
    if not listener.address.is_unspecified:
        return listener
    return replace(listener, address=LOOPBACK[listener.address.version == 6])


def _held(
    process: Process, listeners: list[Listener | UnixListener]
) -> tuple[list[Listener | UnixListener], list[Unknown]]:
    """The listening sockets of a process: by its title where its descriptors are denied."""
    try:
        inodes = sockets.inodes(process.pid)
    except OSError:
        held = titled(process, listeners)
        return held, [] if held else [_hidden(process)]
    return [socket for socket in listeners if socket.inode in inodes], []


def titled(
    process: Process, listeners: Iterable[Listener | UnixListener]
) -> list[Listener | UnixListener]:
    """The sockets that a server's title names, and that its user made."""
    match = TITLE.match(" ".join(process.argv))
    if match is None:
        return []
    return [
        socket
        for socket in listeners
        if (
            socket.path == match["path"]
            if isinstance(socket, UnixListener)
            else (str(socket.port), socket.uid) == (match["port"], process.uid)
        )
    ]


def named(url: str, listeners: list[Listener | UnixListener]) -> tuple[Place | None, list[Unknown]]:
    """The place that a URL names; no part of the URL but the address is ever shown."""
    if not url:
        return None, []
    from redis.connection import parse_url  # noqa: PLC0415 - slow to load, and seldom needed

    try:
        # redis-py has annotated its other functions, and not yet this one.
        parts = parse_url(url)  # type: ignore[no-untyped-call]
        reached = _addressed(parts, listeners)
    except ValueError:
        why = "it names no address of loopback and no unix socket, or wants TLS"
        return None, [Unknown(what=VARIABLE, why=why, remedy=f"set it as in {EXAMPLE}")]
    if not reached:
        why = "nothing listens where it leads"
        return None, [Unknown(what=VARIABLE, why=why, remedy="correct it, or start the server")]
    said = Credentials(parts.get("username"), parts.get("password"))
    return Place(reached, {str(socket): said for socket in reached}), []


def _addressed(
    parts: Mapping[str, Any], listeners: list[Listener | UnixListener]
) -> tuple[Listener | UnixListener, ...]:
    """The socket of a parsed URL; `ValueError` where it leads off this host or wants TLS."""
    if "path" in parts:
        paths = (socket for socket in listeners if isinstance(socket, UnixListener))
        return tuple(socket for socket in paths if socket.path == parts["path"])
    if "connection_class" in parts:
        raise ValueError
    host = parts.get("host", "localhost")
    for address in LOOPBACK if host == "localhost" else (ipaddress.ip_address(host),):
        if not address.is_loopback:
            raise ValueError
        for socket in sockets.accepting(listeners, address, parts.get("port", PORT))[:1]:
            return (replace(socket, address=address),)
    return ()


def _merged(first: Place | None, places: list[Place]) -> list[Place]:
    """The place that was named before the rest, and once where its server was found too."""
    if first is None:
        return places
    own = {socket.inode for socket in first.sockets}
    rest = [place for place in places if own.isdisjoint(socket.inode for socket in place.sockets)]
    return [first, *rest]


def _hidden(process: Process) -> Unknown:
    why, remedy = processes.denied()
    return Unknown(what=f"sockets of pid {process.pid} ({process.name})", why=why, remedy=remedy)


def _unreachable(process: Process) -> Unknown:
    return Unknown(
        what=f"state of pid {process.pid} ({process.name})",
        why="it listens neither on this host's loopback nor on a unix socket",
        remedy="run advisor inside its container, or bind it to 127.0.0.1 too",
    )
