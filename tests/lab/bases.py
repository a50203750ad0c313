"""What the lab stands on: this machine's programs, and the roots that scripts/lab.sh makes."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

RECIPE = Path(__file__).parents[2] / "scripts" / "lab.sh"
PROGRAMS = ("debootstrap", "flock", "ip", "ssh", "ssh-keygen", "systemd-nspawn", "unshare")
# What tests call a release, and what Debian does.
RELEASES = {"debian-12": "bookworm", "debian-13": "trixie"}


@functools.cache
def bases() -> dict[str, Path]:
    """The root of each release that is made; making them takes minutes the first time."""
    done = subprocess.run(
        ["sh", RECIPE], stdout=subprocess.PIPE, text=True, check=True, timeout=1800
    )
    place = Path(done.stdout.strip())
    return {
        release: place / codename
        for release, codename in RELEASES.items()
        if (place / f"{codename}.made").exists()
    }


def lacking() -> str | None:
    """Why no host can boot here, if none can."""
    if os.geteuid() != 0:
        return "only root can boot hosts"
    if missing := [each for each in PROGRAMS if not shutil.which(each)]:
        return f"no {', '.join(missing)}"
    if missing := [each for each in RELEASES if each not in bases()]:
        return f"no base for {', '.join(missing)}: sh scripts/lab.sh says why"
    return None
