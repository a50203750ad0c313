"""`systemd-analyze verify` of service and socket together, in a closed world of the stage.

The stage holds nothing but the rendered units and bare stand-ins for the targets they name,
so that no other unit and no drop-in of the host's adds lines of its own. Any line on stderr
is a failure: verify exits 0 on a misspelt directive (tried with systemd 252).
"""

from __future__ import annotations

import grp
import pwd
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict
from advisor.render.place import PROXY_GROUPS
from advisor.render.place import program as program_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

# What the units name, and what systemd adds to every service and socket by itself.
TARGETS = ("basic", "multi-user", "network", "shutdown", "sockets", "sysinit", "umount")

_VERSION = re.compile(r"systemd (\d+)")
_IDENTITY = re.compile(r"^(?P<key>User|Group|SocketUser|SocketGroup)=(?P<name>.*)$")


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """The check of systemd for the units, and ours of the users and groups that it passes over."""
    identities = [_identities(file, inputs) for file in files]
    program = find_program("systemd-analyze")
    if program is None:
        why = "systemd-analyze is not installed here"
        return [*identities, *_not_run(files, "systemd-analyze verify", why)]
    found = _VERSION.search(run([program, "--version"]).stdout)
    version = found[1] if found else "of unknown version"
    name = f"systemd-analyze {version} verify"
    other = other_version(inputs, "systemd", version, parts=1)
    if other:
        return [*identities, *_not_run(files, name, other)]
    stand_ins = {program_of(inputs, "gunicorn")} | (
        {"/bin/kill"} if not Path("/bin/kill").exists() else set()
    )
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        stage = Path(folder)
        units = [_stage(file, stage, stand_ins) for file in files]
        for target in TARGETS:
            unit = f"[Unit]\nDescription={target}\n"
            (stage / f"{target}.target").write_text(unit, encoding="ascii")
        done = run(
            [program, "verify", "--man=no", *units],
            environment={"SYSTEMD_UNIT_PATH": str(stage)},
        )
    lines = [line.replace(f"{stage}/", "") for line in done.stderr.splitlines() if line.strip()]
    if done.code != 0 and not lines:
        lines = [f"systemd-analyze verify ended with {done.code}"]
    return [
        *identities,
        *(
            verdict(
                file.path,
                name,
                _lines_of(file, lines, first=file is files[0], files=files),
                stand_ins=[f"an executable for {path}" for path in sorted(stand_ins)],
            )
            for file in files
        ),
    ]


def _not_run(files: Sequence[File], name: str, why: str) -> list[CheckResult]:
    return [CheckResult(file.path, name, "not_run", (why,)) for file in files]


def _stage(file: File, stage: Path, programs: set[str]) -> Path:
    """The unit in the stage, with an executable of the stage for each of `programs`."""
    stand_in = stage / "stand-in"
    stand_in.write_text("#!/bin/sh\n", encoding="ascii")
    stand_in.chmod(0o755)
    lines = []
    for line in file.content.decode().splitlines():
        key, equals, command = line.partition("=")
        program, space, arguments = command.partition(" ")
        replace = key.startswith("Exec") and program in programs
        lines.append(f"{key}{equals}{stand_in}{space}{arguments}" if replace else line)
    unit = stage / Path(file.path).name
    unit.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return unit


def _lines_of(file: File, lines: Sequence[str], *, first: bool, files: Sequence[File]) -> list[str]:
    """The lines about a file, under its path in the tree; the first also has the nameless ones."""
    names = {other.path: Path(other.path).name for other in files}
    own = [
        f"{file.path}{line.removeprefix(names[file.path])}"
        for line in lines
        if line.startswith(f"{names[file.path]}:")
    ]
    if not first:
        return own
    named = tuple(f"{name}:" for name in names.values())
    return own + [f"{file.path}: {line}" for line in lines if not line.startswith(named)]


def _identities(file: File, inputs: Inputs) -> CheckResult:
    """Users and groups are those of the intent; one that is not on this host is a stand-in."""
    user = inputs.intent.user
    allowed = {user, *PROXY_GROUPS.values()}
    wrong, absent = [], []
    for number, line in enumerate(file.content.decode().splitlines(), 1):
        match = _IDENTITY.match(line)
        if match is None:
            continue
        name = match["name"]
        if name not in allowed:
            wrong.append(f"{file.path}:{number}: {match['key']}={name} is nobody the app needs")
        elif not _exists(name, pwd.getpwnam if match["key"].endswith("User") else grp.getgrnam):
            kind = "user" if match["key"].endswith("User") else "group"
            absent.append(f"the {kind} {name}, which is not on this host")
    return verdict(file.path, "users and groups", wrong, stand_ins=absent)


def _exists(name: str, look_up: Callable[[str], object]) -> bool:
    try:
        look_up(name)
    except KeyError:
        return False
    return True
