"""What a check says, and how a checker is found, run and compared with the target's."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.rules.versions import parse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from advisor.render.values import Inputs

# Debian keeps daemons where an ordinary user's PATH does not look.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
TIMEOUT_S = 60


@dataclass(frozen=True)
class CheckResult:
    """One check of one file of the tree.

    `lines` are what is wrong (failed) or why nothing ran (not_run), each with the file and,
    where it is known, the line. `stand_ins` name what the check had to replace.
    """

    path: str
    check: str
    status: Literal["passed", "failed", "not_run"]
    lines: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How a program ended; `code` is null where it had to be stopped after `TIMEOUT_S`."""

    code: int | None
    stdout: str
    stderr: str


def verdict(
    path: str, check: str, lines: Sequence[str], *, stand_ins: Sequence[str] = ()
) -> CheckResult:
    """Failed where there are lines that say so, else passed."""
    status: Literal["passed", "failed"] = "failed" if lines else "passed"
    return CheckResult(path, check, status, tuple(lines), tuple(stand_ins))


def find_program(name: str) -> str | None:
    """The path of a program, in the superuser's folders too, or null."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def run(
    arguments: Sequence[str | Path],
    *,
    environment: dict[str, str] | None = None,
    user: tuple[int, int] | None = None,
    directory: Path | None = None,
) -> Outcome:
    """Run a checker with a bare environment; `user` is the uid and gid to run as."""
    bare = {"PATH": os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin", *SBIN]), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [str(argument) for argument in arguments],
            env=bare | (environment or {}),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            user=user[0] if user else None,
            group=user[1] if user else None,
            extra_groups=[] if user else None,
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, "", f"no answer within {TIMEOUT_S} s")
    except OSError as error:
        return Outcome(None, "", f"{arguments[0]}: {error.strerror}")
    return Outcome(done.returncode, done.stdout, done.stderr)


def other_version(inputs: Inputs, component: str, found: str, *, parts: int) -> str | None:
    """Why a checker of this version cannot speak for the target, or null where it can.

    Versions agree where their first `parts` numbers do; a target whose version is not known
    is taken to be what is here.
    """
    target = inputs.versions.get(component)
    if target is None or (parse(found) or ())[:parts] == target[:parts]:
        return None
    wanted = ".".join(map(str, target))
    return f"{component} here is {found}, the target's is {wanted}"
