"""systemd-sysusers and systemd-tmpfiles on a root of their own: what they make at boot.

Users and groups that the folders name are stand-ins there, with this process's own numbers, so
that no root is needed. What else the two programs could do is not the kit's: only a user and
folders pass.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs


@dataclass(frozen=True)
class Program:
    """What reads a file, how it is asked, and the only kind of line that the file has."""

    name: str
    option: str
    line: re.Pattern[str]
    kind: str


# By the file's name in the tree.
PROGRAMS = {
    "sysusers.conf": Program(
        *("systemd-sysusers", "--dry-run"),
        line=re.compile(r'u \S+ - "[^"]*"'),
        kind="user",
    ),
    "tmpfiles.conf": Program(
        *("systemd-tmpfiles", "--create"),
        line=re.compile(r"d (?P<path>/\S+) \S+ :?(?P<user>\S+) :?(?P<group>\S+) -"),
        kind="folder",
    ),
}

_VERSION = re.compile(r"systemd (\d+)")


def check_boot(files: Sequence[File], inputs: Inputs) -> Iterator[CheckResult]:
    """What each program says to its file, and ours of what it would do besides."""
    for file in files:
        reader = PROGRAMS[Path(file.path).name]
        yield verdict(file.path, f"nothing but a {reader.kind} a line", _others(file, reader))
        program = find_program(reader.name)
        if program is None:
            why = f"{reader.name} is not installed here"
            yield CheckResult(file.path, reader.name, "not_run", (why,))
            continue
        found = _VERSION.search(run([program, "--version"]).stdout)
        version = found[1] if found else "of unknown version"
        name = f"{reader.name} {version}"
        other = other_version(inputs, "systemd", version, parts=1)
        if other:
            yield CheckResult(file.path, name, "not_run", (other,))
        else:
            yield verdict(file.path, name, _said(file, program, reader))


def _others(file: File, reader: Program) -> list[str]:
    return [
        f"{file.path}:{number}: {line}: is no {reader.kind}"
        for number, line in enumerate(file.content.decode().split("\n"), 1)
        if line and not line.startswith("#") and reader.line.fullmatch(line) is None
    ]


def _said(file: File, program: str, reader: Program) -> list[str]:
    """What is wrong: any warning, an exit code, or a folder that is not there after."""
    text = file.content.decode()
    made = [match for match in map(reader.line.fullmatch, text.split("\n")) if match]
    folders = [match for match in made if reader.kind == "folder"]
    with tempfile.TemporaryDirectory(prefix="advisor-") as name:
        root = Path(name)
        _write_accounts(root, folders)
        conf = root / Path(file.path).name
        conf.write_text(text, encoding="utf-8")
        quiet = {"SYSTEMD_LOG_LEVEL": "warning"}
        done = run([program, reader.option, f"--root={root}", conf], environment=quiet)
        lines = [
            line.replace(str(conf), file.path) if str(conf) in line else f"{file.path}: {line}"
            for line in done.stderr.splitlines()
            if line.strip()
        ]
        paths = [match["path"] for match in folders]
        absent = [path for path in paths if not (root / path.lstrip("/")).is_dir()]
    if done.code != 0 and not lines:
        lines = [f"{file.path}: {reader.name} ended with {done.code}"]
    return lines or [f"{file.path}: {path} was not made" for path in absent]


def _write_accounts(root: Path, folders: Sequence[re.Match[str]]) -> None:
    """An account for each name, with our own numbers: only root may give a folder away."""
    uid, gid = os.geteuid(), os.getegid()
    users = sorted({match["user"] for match in folders} - {"-"})
    groups = sorted({match["group"] for match in folders} - {"-"})
    passwd = [f"{user}:x:{uid}:{gid}::/:/usr/sbin/nologin\n" for user in users]
    group = [f"{name}:x:{gid}:\n" for name in groups]
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("".join(passwd), encoding="ascii")
    (root / "etc" / "group").write_text("".join(group), encoding="ascii")
