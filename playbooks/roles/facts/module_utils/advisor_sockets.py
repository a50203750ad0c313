# ruff: noqa: INP001, PTH115, PTH123, PTH208 - found by its folder; paths are bytes
"""The listening sockets of a process's network namespace, and which of them it holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ansible.module_utils.advisor_copy import latin

if TYPE_CHECKING:
    from ansible.module_utils.advisor_copy import Copy

LISTENS = b"0A"  # the state of a listening TCP socket (proc_net_tcp)
UNIX_ACCEPTS = 0x10000  # __SO_ACCEPTCON, include/uapi/linux/net.h
# The column of a row's inode, by table.
INODE = {"tcp": 9, "tcp6": 9, "unix": 6}


def sockets(copy: Copy, base: str) -> None:
    """Take the rows of listening sockets, and those descriptors of the process that hold one."""
    held = set()
    for name, column in INODE.items():
        rows = [row for row in _rows(f"{base}/net/{name}") if _listens(name, row.split())]
        copy.files[f"{base}/net/{name}"] = b"".join(rows).decode("latin-1")
        held |= {b"socket:[%s]" % row.split()[column] for row in rows}
    try:
        numbers = os.listdir(f"{base}/fd")
    except PermissionError:
        copy.denied.add(f"{base}/fd")
        return
    except OSError:
        return
    copy.folder(f"{base}/fd")
    for number in numbers:
        try:
            target = latin(os.readlink(f"{base}/fd/{number}"))
        except OSError:  # closed meanwhile
            continue
        if target.encode("latin-1") in held:
            copy.links[f"{base}/fd/{number}"] = target


def _rows(path: str) -> list[bytes]:
    """The rows of a table, its heading left out; none where the kernel has no such table."""
    try:
        with open(path, "rb") as stream:
            return stream.read().splitlines(keepends=True)[1:]
    except OSError:
        return []


def _listens(table: str, row: list[bytes]) -> bool:
    if len(row) <= INODE[table]:
        return False
    return bool(int(row[3], 16) & UNIX_ACCEPTS) if table == "unix" else row[3] == LISTENS
