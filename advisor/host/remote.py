"""The facts of a host that a script looked at: laid out as a copy, and read as any host is.

What a host tells is somebody else's text. It becomes files below one folder and nothing else: no
link is laid that could be followed, and no path leads out.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from advisor.documents import Facts, Unknown
from advisor.documents.base import Document
from advisor.errors import InvalidInput
from advisor.host import processes
from advisor.host.components import Answer
from advisor.host.facts import gather
from advisor.host.redis.places import NAMES
from advisor.host.tree import clean, text, under

if TYPE_CHECKING:
    from collections.abc import Iterable

GATHERED_SCHEMA: Final = "advisor/gathered/1"
# What may not be read of a process, by the name of its file in /proc.
DENIED = {
    "cwd": "working directory",
    "environ": "environment",
    "exe": "executable",
    "fd": "sockets",
    "smaps_rollup": "memory",
}
PROCESS = re.compile(r"/proc/(?P<pid>[0-9]+)/")
BECOME = "set ansible_become for this host in the inventory"


class Said(Document):
    """What a program printed when it was asked, and its path; null where it is not installed."""

    words: list[str]
    path: str | None
    text: str


class Gathered(Document):
    """What the gathering script read. Paths and contents are bytes, each byte as one character.

    `links` are read and never followed, of `folders` only the names count, `denied` may not be
    read by the user that looked.
    """

    schema_: Literal["advisor/gathered/1"] = Field(alias="schema")
    files: dict[str, str]
    links: dict[str, str]
    folders: list[str]
    answers: list[Said]
    denied: list[str]


@dataclass(frozen=True)
class Copy:
    """A host as it was gathered, laid out below a folder."""

    gathered: Gathered
    root: Path
    virtualenv: Path | None = None

    def facts(self, pid: int | None = None) -> Facts:
        """Its facts, with the limits of one of its processes; those of a login where it is None.

        `InvalidInput` where it has no such app server's process.
        """
        found = gather(pid, root=self.root, virtualenv=self.virtualenv, ask=self._ask)
        more = [*_denied(self.gathered.denied, self.root), *_stores(self.root)]
        return found.model_copy(update={"unknown": [*found.unknown, *more]})

    def _ask(self, command: tuple[str, ...]) -> Answer:
        said = (each for each in self.gathered.answers if tuple(each.words) == command)
        return next((Answer(each.path, each.text) for each in said), Answer(None, ""))


def lay(gathered: Gathered, root: Path, virtualenv: Path | None = None) -> Copy:
    """Lay out what was gathered below an empty folder; `InvalidInput` where that cannot be."""
    files = {**gathered.files, **gathered.links}
    try:
        for path in gathered.folders:
            _place(root, path).mkdir(parents=True, exist_ok=True)
        for path, held in files.items():
            place = _place(root, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(held.encode("latin-1"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"what the host told is not to be laid out: {error}") from None
    return Copy(gathered, root, virtualenv)


def _place(root: Path, path: str) -> Path:
    return under(root, os.fsdecode(path.encode("latin-1")))


def _denied(paths: Iterable[str], root: Path) -> list[Unknown]:
    """One entry for each process that may not be read, and for each other file."""
    status = processes.STATUS.finditer(text(under(root, "/proc/self/status")))
    users = next((match["value"].split() for match in status if match["key"] == "Uid"), [])
    why = f"not readable by uid {users[1] if users[1:] else 'of the login'}"
    return [
        Unknown(what=what, why=why, remedy=BECOME)
        for key, group in groupby(sorted(paths, key=_whose), key=_whose)
        if (what := _what(key, group))
    ]


def _whose(path: str) -> str:
    """The process of a path in /proc, else the path itself."""
    found = PROCESS.match(path)
    return found["pid"] if found else path


def _what(key: str, paths: Iterable[str]) -> str | None:
    if not key.isdecimal():
        return clean(os.fsdecode(key.encode("latin-1", "replace")))
    names = (DENIED.get(PurePosixPath(path).name) for path in paths)
    known = [name for name in names if name]
    return f"{', '.join(known)} of pid {key}" if known else None


def _stores(root: Path) -> list[Unknown]:
    """The Redis servers that run there: they are seen, and not asked from here."""
    rows = processes.table(root)
    return [
        Unknown(
            what=f"state of pid {row.pid} ({row.name})",
            why="gathering sends no question to it",
            remedy="set redis.role in advisor.yml, or run advisor inspect on the host",
        )
        for row in rows.values()
        if row.name in NAMES and row.parent not in rows
    ]
