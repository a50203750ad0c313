# ruff: noqa: INP001, T201 - sent to a target as it is, and printed there
"""What a target is and what of ours it has, as one JSON object; nothing is changed.

Runs on the target's own Python, from its standard input, with one argument: JSON with `commands`,
the programs to look for by the role that brings each, and `user`, whom the app needs, or null.
Standard library only, Python >= 3.9.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path("/usr/local/lib/advisor/switch.pyz")
CURRENT = Path("/etc/advisor/current")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# `status` reads every app's files; a host that takes longer for that is in trouble.
PATIENCE_S = 60


def system() -> dict[str, str]:
    """ID and VERSION_ID of os-release(5)."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    found = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    return {"id": found.get("ID", ""), "version": found.get("VERSION_ID", "")}


def digest(path: Path) -> str | None:
    """The SHA-256 of a file; null where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def peers() -> dict[str, list[str]]:
    """The hosts behind the load balancer of each app of the current generation."""
    found = {}
    for path in CURRENT.glob("*/.advisor/install.json"):
        found[path.parents[1].name] = json.loads(path.read_bytes()).get("peers", [])
    return found


def status() -> dict[str, Any] | None:
    """What the switch says; null where it is not there."""
    if not PROGRAM.is_file():
        return None
    if writers():
        return {"broken": f"{writers()} may be written by others than root"}
    done = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), "status"],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {"broken": done.stderr.decode("utf-8", "replace").strip()[-400:]}
    return said


def writers() -> str | None:
    """The program, or its folder, where somebody but root may have written it: it runs as root."""
    for path in (PROGRAM, PROGRAM.parent):
        found = path.stat()
        if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return str(path)
    return None


def is_there(user: str) -> bool:
    """Whether the host knows this user."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def look(commands: dict[str, str], user: str | None) -> dict[str, Any]:
    """All of it; what only root may see is left out for others."""
    is_root = os.geteuid() == 0
    return {
        "system": system(),
        "is_root": is_root,
        "has_systemd": Path("/run/systemd/system").is_dir(),
        "missing": [role for role, name in commands.items() if not shutil.which(name, path=PATH)],
        "lacks_user": user is not None and not is_there(user),
        "program": digest(PROGRAM),
        "peers": peers() if is_root else {},
        "status": status() if is_root else None,
    }


if __name__ == "__main__":
    print(json.dumps(look(**json.loads(sys.argv[1]))))
