"""The Gunicorn, Uvicorn, Hypercorn and Granian servers that run on this host.

Recognised by their command lines, which every user may read; what more a process tells is
read where the kernel lets us, and what it does not is said once a server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Server, Unknown
from advisor.errors import InvalidInput
from advisor.host import processes, sockets
from advisor.host.binds import binds
from advisor.host.describe import UNKNOWN, Described, describe, plain
from advisor.host.families import Family, families, upgrades
from advisor.host.tree import LIVE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from advisor.host.processes import Process
    from advisor.host.sockets import Address, Listener, UnixListener

PROXIES = {"nginx", "caddy"}


def discover(root: Path = LIVE) -> list[Described]:
    """Every server found, with its environment and what could not be read of it."""
    return [describe(family, root) for family in _families(processes.table(root), root)]


def find_servers() -> tuple[list[Server], list[Unknown]]:
    """The masters of app servers found running, and what could not be read of them."""
    found = discover()
    return [item.server for item in found], [entry for item in found for entry in item.unknown]


def server_of(pid: int) -> Server:
    """The server whose master or worker the process is; kind "unknown" if it is of none.

    `InvalidInput` where there is no such process, or none that this user may see.
    """
    table = processes.table()
    if pid not in table:
        raise InvalidInput(
            f"--pid {pid}: no such process",
            remedy="`advisor inspect` lists the servers that run here and their PIDs.",
        )
    for family in _families(table):
        if family.has(pid):
            return describe(family).server
    relatives = [pid, table[pid].parent, *(row.pid for row in processes.children(table, pid))]
    sharing = _others(_sharing(pid, relatives), table)
    return next((item.server for item in sharing if _has(item.server, pid)), sharing[0].server)


def server_at(address: str, port: int) -> tuple[Server | None, list[Unknown]]:
    """The server whose processes listen at a TCP address and port of this host.

    None, with the reason, where nobody does or where the holder may not be seen; of several
    that share the port the one with the lowest PID, and the others are named. `address` is an
    IP address; `InvalidInput` if it is none.
    """
    target = _address(address)
    place = f"[{target}]:{port}" if target.version == 6 else f"{target}:{port}"
    if not _is_local(target):
        return None, [_nobody(place, "the address is none of this host's")]
    reached = sockets.accepting(sockets.listening(), target, port)
    if not reached:
        return None, [_nobody(place, "nothing listens there in this network namespace")]
    owners = {listener.uid for listener in reached}
    return _serving(place, {listener.inode: listener for listener in reached}, owners)


def server_at_socket(path: str) -> tuple[Server | None, list[Unknown]]:
    """The server whose processes listen at a unix socket, however the path leads to it.

    None, with the reason, as `server_at`.
    """
    place = f"unix:{path}"
    try:
        real = os.path.realpath(path, strict=True)
        owner = Path(real).stat().st_uid
    except (OSError, ValueError):
        return None, [_nobody(place, "there is no such socket, or it may not be seen")]
    bound = [
        listener
        for listener in sockets.listening()
        if isinstance(listener, sockets.UnixListener) and not listener.path.startswith("@")
    ]
    reached = {
        listener.inode: listener for listener in bound if os.path.realpath(listener.path) == real
    }
    if not reached:  # bound by a name relative to the folder of its holder
        reached = {listener.inode: listener for listener in bound if _relative(listener, real)}
    if not reached:
        return None, [_nobody(place, "nothing listens there")]
    return _serving(place, reached, {owner})


def _relative(listener: UnixListener, real: str) -> bool:
    """Whether a holder of the socket, bound by a relative name, has it at that place."""
    if listener.path.startswith("/") or not real.endswith(os.path.basename(listener.path)):  # noqa: PTH119
        return False
    for pid in sockets.holders(processes.table(), frozenset({listener.inode})):
        try:
            folder = processes.directory(pid)
        except OSError:
            continue
        if os.path.realpath(os.path.join(folder, listener.path)) == real:  # noqa: PTH118
            return True
    return False


def _serving(
    place: str, reached: Mapping[int, Listener | UnixListener], owners: Collection[int]
) -> tuple[Server | None, list[Unknown]]:
    """The server that holds one of the sockets, which belong to these users."""
    table = processes.table()
    holders = sockets.holders(table, frozenset(reached))
    found = _families(table)
    holding = [family for family in found if any(family.has(pid) for pid in holders)]
    if holding:
        described = describe(holding[0])
        others = [family.master.pid for family in holding[1:]]
        return described.server, [*_shared(place, described, others), *described.unknown]
    if serving := [pid for pid in holders if table[pid].name != "systemd"]:
        described, *rest = _others(serving, table)
        others = [other.server.pid for other in rest]
        return described.server, [*_shared(place, described, others), *described.unknown]
    if holders:
        return None, [_nobody(place, "systemd holds the socket and nothing serves it yet")]
    return _by_command_line(place, reached.values(), owners, found)


def _shared(place: str, described: Described, others: Sequence[int]) -> list[Unknown]:
    """That other masters take connections there too: a reused port, or an upgrade under way."""
    if not others:
        return []
    pid = described.server.pid
    return [
        Unknown(
            what=f"whether pid {pid} alone is the server at {place}",
            why=f"pid {', '.join(map(str, others))} takes connections there too",
            remedy="choose one with --pid",
        )
    ]


def _by_command_line(
    place: str,
    reached: Collection[Listener | UnixListener],
    owners: Collection[int],
    found: Iterable[Family],
) -> tuple[Server | None, list[Unknown]]:
    """The one server that runs as the socket's user and says that it binds there."""
    matching = [
        described
        for described in (describe(family) for family in found if family.master.uid in owners)
        if any(binds(described, listener) for listener in reached)
    ]
    why = f"no process that uid {os.geteuid()} may read holds the socket"
    remedy = f"{processes.denied()[1]}, or give --pid"
    if len(matching) != 1:
        return None, [Unknown(what=f"server at {place}", why=why, remedy=remedy)]
    server = matching[0].server
    why = f"{why}; its command line and user fit"
    unsure = Unknown(
        what=f"whether pid {server.pid} is the server at {place}", why=why, remedy=remedy
    )
    return server, [unsure, *matching[0].unknown]


def _families(table: Mapping[int, Process], root: Path = LIVE) -> list[Family]:
    """The app servers that run, an upgrade's new Gunicorn apart from the old one.

    Gunicorn hands its own PID to the master that it starts on USR2, as GUNICORN_PID.
    """
    masters = set()
    for pid in upgrades(table):
        try:
            parent = processes.environment(pid, root).get("GUNICORN_PID")
        except OSError:  # not ours to read: taken for a worker
            continue
        if parent == str(table[pid].parent):
            masters.add(pid)
    return families(table, masters=masters)


def _others(pids: Collection[int], table: Mapping[int, Process]) -> list[Described]:
    """Processes that share a socket, as servers: a topmost one and those that have no child here.

    Topmost processes that one of their own name started are one server's.
    """
    rows = {pid: table[pid] for pid in sorted(pids)}
    groups: dict[int, list[Process]] = {}
    for row in rows.values():
        top = row
        while top.parent in rows and top.parent != top.pid:
            top = rows[top.parent]
        above = table.get(top.parent)
        key = above.pid if above and above.name == top.name else top.pid
        groups.setdefault(key, []).append(row)
    parents = {row.parent for row in rows.values()}
    found = []
    for key, group in groups.items():
        kind = group[0].name if group[0].name in PROXIES else UNKNOWN
        # A proxy's master may be another user's, who shows no sockets.
        top = (
            table[key] if kind != UNKNOWN else next(row for row in group if row.parent not in rows)
        )
        found.append(plain(kind, top, [row for row in group if row.pid not in parents]))
    return found


def _sharing(pid: int, relatives: Iterable[int]) -> list[int]:
    """Those of the relatives that hold a listening socket of the process; at least itself."""
    try:
        listening = frozenset(listener.inode for listener in sockets.listening(pid))
        found = sockets.holders(relatives, sockets.inodes(pid) & listening)
    except OSError:
        return [pid]
    return found or [pid]


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        raise InvalidInput(f"{text!r} is no IP address") from None


def _is_local(address: Address) -> bool:
    """Whether the address is one of this host's: only those can be bound to."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _has(server: Server, pid: int) -> bool:
    return pid in {server.pid, *(worker.pid for worker in server.workers)}


def _nobody(place: str, why: str) -> Unknown:
    return Unknown(what=f"server at {place}", why=why, remedy="check the URL, or give --pid")
