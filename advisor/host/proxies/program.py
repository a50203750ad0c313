"""Asking an installed proxy about itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from advisor.host import components

TIMEOUT_S = 5
MAX_BYTES = 16 * 1024**2


def running(name: str, pid: int) -> str | None:
    """The installed program of that name, where the process runs it; None where it does not.

    What the process runs may not be seen by another user: then the installed one is taken for
    it. As root only a program that root alone can change is ever run.
    """
    program = components.find(name)
    if program is None:
        return None
    try:
        runs = Path(f"/proc/{pid}/exe").readlink()
    except OSError:
        return program
    return program if str(runs) == os.path.realpath(program) else None


def answer(program: str, *words: str, directory: str = "/") -> tuple[bool, str, str]:
    """Whether it ended well, and its two outputs; nothing of it where it could not be run."""
    try:
        done = subprocess.run(
            [program, *words],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=directory,
            env={"PATH": components.SYSTEM_PATH, "LC_ALL": "C", "HOME": "/nonexistent"},
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False, "", ""
    out, err = (
        stream[:MAX_BYTES].decode(errors="replace") for stream in (done.stdout, done.stderr)
    )
    return done.returncode == 0, out, err
