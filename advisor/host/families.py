"""Which processes belong together as one app server: a pure reading of the process table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.host import commandline
from advisor.host.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def families(table: Mapping[int, Process]) -> list[Family]:
    """The app servers in a process table, in order of their masters' PIDs.

    Gunicorn's children share its command line, so a server whose parent is one of the same
    kind is a worker, or something that a worker forked. Uvicorn's are started by
    multiprocessing, whose resource tracker is none of them.
    """
    commands = {
        pid: command
        for pid, process in sorted(table.items())
        if (command := commandline.parse(process.argv)) is not None
    }
    return [
        Family(command, table[pid], tuple(_children(pid, command.kind, table, commands)))
        for pid, command in commands.items()
        if command.role in {"server", "titled"}
        and not _same_kind(table[pid].parent, command, commands)
    ]


def _same_kind(parent: int, command: Command, commands: Mapping[int, Command]) -> bool:
    return parent in commands and commands[parent].kind == command.kind


def _children(
    pid: int, kind: str, table: Mapping[int, Process], commands: Mapping[int, Command]
) -> Iterable[Process]:
    wanted = "spawned" if kind == "uvicorn" else "gunicorn"
    return (
        child
        for child in children(table, pid)
        if child.pid in commands and commands[child.pid].kind == wanted
    )
