"""The Python that a running server was started with, and whether it may be started again.

A null app under a server means running what somebody else installed. So it runs as the server's
own user, never as another: root becomes that user, anybody else measures only their own servers.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor.host import processes
from advisor.host.installation import installation
from advisor.host.tree import clean

if TYPE_CHECKING:
    from collections.abc import Collection

    from advisor.documents import Server

OTHERS_MAY_WRITE = 0o022


class LeftOut(Exception):
    """Why a worker class is not measured, and what would change that."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why, self.remedy = why, remedy


@dataclass(frozen=True)
class Interpreter:
    """A Python by path, the versions that decide what it costs, and whom to run it as.

    `user` and `group` are numbers, null where no change of user is needed.
    """

    python: str
    packages: dict[str, str]
    user: int | None = None
    group: int | None = None


def interpreter(server: Server) -> Interpreter:
    """The Python of a running server; `LeftOut` where it may not be run, or is not to be seen.

    The file that the process executes has to be the very one that we would run: that tells a
    container and an upgraded Python, and does not believe a command line.
    """
    pid = server.workers[0].pid if server.workers else server.pid
    try:
        process = psutil.Process(pid)
        uid, gid = process.uids().effective, process.gids().effective
    except psutil.Error:
        raise LeftOut(f"pid {pid} of the server has ended", "measure again") from None
    own = os.geteuid()
    if own not in {0, uid}:
        name = processes.user(uid)
        raise LeftOut(
            f"the server is {name}'s, and only its own user runs its programs",
            "run as root" + ("" if uid == 0 else f" or as {name}"),
        )
    exe = Path(f"/proc/{pid}/exe")
    try:
        target = str(exe.readlink())
        python = f"{server.virtualenv}/bin/python" if server.virtualenv else target
        same, owner = exe.samefile(python), Path(python).stat().st_uid
    except (OSError, ValueError):
        same = False
    if not same:
        raise LeftOut(
            f"the Python that pid {pid} runs is not to be found from here",
            "restart the server if its Python was upgraded; run advisor in its container",
        )
    if own == 0 and not _may_run(python, owner, uid, server.virtualenv):
        raise LeftOut(
            f"{clean(python)} can be changed by others than root and the server's user, "
            "so root does not start it",
            "run as the server's user",
        )
    found = installation(
        [python] if server.virtualenv else [],
        executable=target,
        mapped="",
        home=_home(uid),
        root=Path("/"),
    )
    versions = {"python": found.python or server.python or "", **found.packages}
    change = own == 0 and uid != 0
    return Interpreter(python, versions, uid if change else None, gid if change else None)


def _may_run(python: str, owner: int, uid: int, virtualenv: str | None) -> bool:
    """Whether root may start it for that user: what runs as root has to be root's throughout."""
    if uid != 0:
        return owner in {0, uid}
    libraries = Path(virtualenv).glob("lib*/python3*/site-packages") if virtualenv else ()
    return all(belongs(path, {0}) for path in (Path(python), *libraries))


def belongs(path: Path, owners: Collection[int]) -> bool:
    """Whether only `owners` can change where the path leads: it and every folder above it.

    Both as it is written and as it resolves. A folder like /tmp, where everybody may add and
    nobody may rename what is another's (sticky), is as good as its entries.
    """
    try:
        real = path.resolve(strict=True)
        chain = dict.fromkeys([path, *path.parents, real, *real.parents])
        return all(_owned(each.lstat(), owners) for each in chain)
    except (OSError, RuntimeError):  # gone, denied, or links in a circle
        return False


def _owned(status: os.stat_result, owners: Collection[int]) -> bool:
    mode = status.st_mode
    sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX
    closed = stat.S_ISLNK(mode) or sticky or not mode & OTHERS_MAY_WRITE
    return bool(status.st_uid in owners and closed)


def _home(uid: int) -> Path:
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return Path("/nonexistent")
