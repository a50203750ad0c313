"""A folder that holds the rendered units, and bare stand-ins for all that they name."""

from __future__ import annotations

import contextlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.kit.launch import launch
from advisor.render.kit.systemd_names import has_command
from advisor.render.place import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

KINDS = (".service", ".socket", ".slice", ".target", ".timer")
# What the units name, and what systemd adds to every service and socket by itself.
TARGETS = (
    *("basic", "multi-user", "network", "network-online", "shutdown", "sockets", "sysinit"),
    *("timers", "umount"),
)
# What runs the app's code beside the server.
PROGRAMS = ("celery", "rq")
TOOLS = ("/bin/kill", "/bin/rm")

# ExecStart= and its like: prefixes of systemd.service(5), the program, and the rest.
EXEC = re.compile(r"(?P<key>Exec\w+=[-@:+!]*)(?P<program>\S+)(?P<rest>.*)")


@dataclass(frozen=True)
class Unit:
    """A rendered file in the stage.

    `path` is its place in the tree, `target` what systemd-analyze is handed: for a drop-in the
    unit that it is for. `names` begin the lines about it, `stand_ins` say what is not its own.
    """

    path: str
    target: Path
    names: tuple[str, ...]
    stand_ins: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """The units in their folder."""

    folder: Path
    units: tuple[Unit, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What keeps systemd-analyze inside the folder."""
        return {"SYSTEMD_UNIT_PATH": str(self.folder)}

    def services(self) -> list[Unit]:
        """The services of ours; a drop-in is part of somebody's."""
        return [unit for unit in self.units if unit.path.endswith(".service")]

    def placed(self, line: str) -> tuple[str, str]:
        """The path that a line is about, and the line under it; one without a name is the first's.

        A line about a unit that is somebody's is about the drop-in beside it.
        """
        bare = line.replace(f"{self.folder}/", "")
        for unit in self.units:
            for name in unit.names:
                if bare.startswith(f"{name}:"):
                    return unit.path, f"{unit.path}{bare.removeprefix(name)}"
        first = self.units[0].path
        return first, f"{first}: {bare}"


def is_unit(file: File) -> bool:
    """Whether a file is a unit, or a drop-in of one."""
    return file.path.endswith(KINDS) or _is_dropin(Path(file.path))


def programs_of(inputs: Inputs) -> set[str]:
    """All that the units may start."""
    servers = {launch(inputs).command[0]} if has_command(inputs) else set()
    return servers | {program(inputs, name) for name in PROGRAMS} | set(TOOLS)


@contextlib.contextmanager
def staged(files: Sequence[File], inputs: Inputs) -> Iterator[Stage]:
    """The units in a temporary folder, with one executable there for all that they start."""
    there = {tool for tool in TOOLS if Path(tool).exists()}
    programs = programs_of(inputs) - there
    with tempfile.TemporaryDirectory(prefix="advisor-") as name:
        folder = Path(name)
        _stand_in(folder).write_text("#!/bin/sh\n", encoding="ascii")
        _stand_in(folder).chmod(0o755)
        for target in TARGETS:
            text = f"[Unit]\nDescription={target}\n"
            (folder / f"{target}.target").write_text(text, encoding="ascii")
        yield Stage(folder, tuple(_laid(file, folder, programs) for file in files))


def _laid(file: File, folder: Path, programs: set[str]) -> Unit:
    """A unit by its name; a drop-in in its unit's folder, beside a stand-in for the unit."""
    path = Path(file.path)
    text, used = _exchanged(file.content.decode(), programs, _stand_in(folder))
    stand_ins = [f"an executable for {each}" for each in sorted(used)]
    if not _is_dropin(path):
        (folder / path.name).write_text(text, encoding="utf-8")
        return Unit(file.path, folder / path.name, (path.name,), tuple(stand_ins))
    beside = folder / path.parent.name
    beside.mkdir(exist_ok=True)
    (beside / path.name).write_text(text, encoding="utf-8")
    theirs = beside.with_suffix("")
    bare = f"[Unit]\nDescription=a stand-in\n[Service]\nExecStart={_stand_in(folder)}\n"
    theirs.write_text(bare, encoding="ascii")
    names = (f"{beside.name}/{path.name}", theirs.name)
    return Unit(file.path, theirs, names, (*stand_ins, f"the unit {theirs.name}"))


def _stand_in(folder: Path) -> Path:
    return folder / "stand-in"


def _is_dropin(path: Path) -> bool:
    return path.parent.name.endswith(".d")


def _exchanged(text: str, programs: set[str], stand_in: Path) -> tuple[str, set[str]]:
    """The unit with the stand-in for each of the programs, and those that it has."""
    used: set[str] = set()
    lines = []
    for line in text.split("\n"):
        match = EXEC.fullmatch(line)
        if match is not None and match["program"] in programs:
            used.add(match["program"])
            lines.append(f"{match['key']}{stand_in}{match['rest']}")
        else:
            lines.append(line)
    return "\n".join(lines), used
