"""Running programs: one way, with a bare environment and a time limit, and nobody left behind."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .documents import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a program ended; `code` is null where it was stopped at its time limit, or never ran."""

    code: int | None
    out: str
    err: str

    @property
    def is_good(self) -> bool:
        """Whether it ended by itself, with success."""
        return self.code == 0

    @property
    def said(self) -> list[str]:
        """Its lines: of standard error, or else of standard output."""
        lines = [line.rstrip() for line in self.err.splitlines() if line.strip()]
        return lines or [line.rstrip() for line in self.out.splitlines() if line.strip()]


def find(name: str) -> str | None:
    """The path of a program, in the superuser's folders too, or null."""
    return shutil.which(name, path=PATH)


def run(
    argv: Sequence[str],
    *,
    timeout_s: float = TIMEOUT_S,
    user: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | str | None = None,
) -> Outcome:
    """Run a program, as another user where one is named, and wait for its end.

    It gets a session of its own, so that at the time limit its children are ended with it.
    """
    bare = {"PATH": PATH, "LC_ALL": "C"}
    try:
        account = pwd.getpwnam(user) if user is not None else None
    except KeyError:
        return Outcome(None, "", f"there is no user {user}")
    groups = os.getgrouplist(account.pw_name, account.pw_gid) if account else None
    try:
        process = subprocess.Popen(
            list(argv),
            env={**bare, **(environment or {})},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=groups,
        )
    except OSError as error:
        return Outcome(None, "", f"{argv[0]}: {error.strerror}")
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return Outcome(None, "", f"{argv[0]}: no answer within {timeout_s:g} s")
    return Outcome(process.returncode, out, err)


def lacking(program: str, package: str) -> Refusal:
    """The refusal where a checker is not installed: what is not checked is not published."""
    return Refusal(
        step="check",
        message=f"{program} is not installed, so its files cannot be checked",
        look=f"Install it: `apt-get install {package}`.",
    )
