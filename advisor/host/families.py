"""Which processes belong together as one app server: a pure reading of the process table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.host import commandline
from advisor.host.processes import children

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from advisor.host.commandline import Command
    from advisor.host.processes import Process


@dataclass(frozen=True)
class Family:
    """A master and the children that may be its workers."""

    command: Command
    master: Process
    children: tuple[Process, ...]

    def has(self, pid: int) -> bool:
        """Whether the process is the master or one of its children."""
        return pid == self.master.pid or any(child.pid == pid for child in self.children)


# What a server's worker processes look like: they keep its command line (a fork), or show
# multiprocessing's (Granian's on Python 3.14 and later, which forks no more).
WORKERS = {
    "gunicorn": {"gunicorn"},
    "uvicorn": {"spawned"},
    "hypercorn": {"spawned"},
    "granian": {"granian", "spawned"},
}


def families(
    table: Mapping[int, Process], *, masters: Collection[int] = frozenset()
) -> list[Family]:
    """The app servers in a process table, in order of their masters' PIDs.

    Gunicorn's and Granian's children share its command line, so a server whose parent is one
    of the same kind is a worker, or something that a worker forked; unless it is among
    `masters`, as the new Gunicorn of an upgrade (USR2) is. Uvicorn's and Hypercorn's are
    started by multiprocessing, whose resource tracker is none of them.
    """
    commands = {
        pid: command
        for pid, process in sorted(table.items())
        if (command := commandline.parse(process.argv)) is not None
    }
    return [
        Family(command, table[pid], tuple(_children(pid, command.kind, table, commands, masters)))
        for pid, command in commands.items()
        if command.role in {"server", "titled"}
        and (pid in masters or not _same_kind(table[pid].parent, command, commands))
    ]


def upgrades(table: Mapping[int, Process]) -> list[int]:
    """Gunicorns whose parent is one: workers, what those forked, or an upgrade's new master."""
    commands = {pid: commandline.parse(process.argv) for pid, process in table.items()}
    gunicorns = {pid for pid, command in commands.items() if command and command.kind == "gunicorn"}
    parents = {table[pid].parent for pid in gunicorns}
    return sorted(pid for pid in gunicorns & parents if table[pid].parent in gunicorns)


def _same_kind(parent: int, command: Command, commands: Mapping[int, Command]) -> bool:
    return parent in commands and commands[parent].kind == command.kind


def _children(
    pid: int,
    kind: str,
    table: Mapping[int, Process],
    commands: Mapping[int, Command],
    masters: Collection[int],
) -> Iterable[Process]:
    return (
        child
        for child in children(table, pid)
        if child.pid in commands
        and commands[child.pid].kind in WORKERS[kind]
        and child.pid not in masters
    )
