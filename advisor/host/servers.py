"""The Gunicorn and Uvicorn servers that run on this host.

Recognised by their command lines, which every user may read; what more a process tells is
read where the kernel lets us, and what it does not is said once a server.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import TYPE_CHECKING

from advisor.documents import Server, Unknown
from advisor.errors import InvalidInput
from advisor.host import processes, sockets
from advisor.host.describe import Described, describe, plain
from advisor.host.families import Family, families

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from advisor.host.processes import Process
    from advisor.host.sockets import Address, Listener

PROXIES = {"nginx", "caddy"}


def discover() -> list[Described]:
    """Every server found, with its environment and what could not be read of it."""
    return [describe(family) for family in families(processes.table())]


def find_servers() -> tuple[list[Server], list[Unknown]]:
    """The Gunicorn and Uvicorn masters found running, and what could not be read of them."""
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
    for family in families(table):
        if family.has(pid):
            return describe(family).server
    relatives = [pid, table[pid].parent, *(row.pid for row in processes.children(table, pid))]
    return _other(_sharing(pid, relatives), table).server


def server_at(address: str, port: int) -> tuple[Server | None, list[Unknown]]:
    """The server whose processes listen at a TCP address and port of this host.

    None, with the reason, where nobody does or where the holder may not be seen. `address`
    is an IP address; `InvalidInput` if it is none.
    """
    target = _address(address)
    place = f"[{target}]:{port}" if target.version == 6 else f"{target}:{port}"
    if not _is_local(target):
        return None, [_nobody(place, "the address is none of this host's")]
    reached = sockets.accepting(sockets.listening(), target, port)
    if not reached:
        return None, [_nobody(place, "nothing listens there in this network namespace")]
    table = processes.table()
    wanted = frozenset(listener.inode for listener in reached)
    holders = sockets.holders(table, wanted)
    found = families(table)
    for family in found:
        if any(family.has(pid) for pid in holders):
            described = describe(family)
            return described.server, described.unknown
    if serving := [pid for pid in holders if table[pid].name != "systemd"]:
        described = _other(serving, table)
        return described.server, described.unknown
    if holders:
        return None, [_nobody(place, "systemd holds the socket and nothing serves it yet")]
    return _by_command_line(place, reached, found)


def _by_command_line(
    place: str, reached: Sequence[Listener], found: Iterable[Family]
) -> tuple[Server | None, list[Unknown]]:
    """The one server that runs as the socket's user and says that it binds there."""
    owners = {listener.uid for listener in reached}
    matching = [
        described
        for described in (describe(family) for family in found if family.master.uid in owners)
        if any(_binds(described, listener) for listener in reached)
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


def _binds(described: Described, listener: Listener) -> bool:
    """Whether the settings that can be seen say that the server listens there."""
    get = described.settings.get
    if described.server.kind == "uvicorn":
        binds = [f"{get('host', '127.0.0.1')}:{get('port', 8000)}"]
    else:
        binds = str(get("bind", "127.0.0.1:8000")).split(",")
    for bind in binds:
        host, _, port = bind.rpartition(":")
        host = host.strip("[]") or "0.0.0.0"  # noqa: S104 - Gunicorn's meaning of ":8000", compared
        try:
            same = ipaddress.ip_address(host) == listener.address
        except ValueError:  # a name; which address it had when the server bound is not known
            same = True
        if same and port == str(listener.port):
            return True
    return False


def _other(pids: Sequence[int], table: Mapping[int, Process]) -> Described:
    """Processes that share a socket as a server: the topmost and those that have no child here."""
    rows = [table[pid] for pid in sorted(pids)]
    parents = {row.parent for row in rows}
    master = next((row for row in rows if row.parent not in set(pids)), rows[0])
    name = master.name if master.name in PROXIES else "unknown"
    return plain(name, master, [row for row in rows if row.pid not in parents])


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


def _nobody(place: str, why: str) -> Unknown:
    return Unknown(what=f"server at {place}", why=why, remedy="check the URL, or give --pid")
