"""Which directories under /sys/fs/cgroup limit a process: v1, v2 and hybrid.

A limit can sit on any ancestor (automemlimit#31, jdk#20646), and the path in
/proc/PID/cgroup need not be the path under the mount: a bind mount hides the part above its
own root, a cgroup namespace renames it (sglang#35707). So every path goes through the
mount's own root in mountinfo.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from advisor.host.tree import under

if TYPE_CHECKING:
    from pathlib import Path

UNESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Membership:
    """One line of /proc/PID/cgroup. Version 2 has no controllers in its line."""

    version: int
    controllers: frozenset[str]
    path: PurePosixPath


@dataclass(frozen=True)
class Mount:
    """A mounted cgroup hierarchy: `root` is the cgroup that is seen at `point`."""

    version: int
    controllers: frozenset[str]
    root: PurePosixPath
    point: PurePosixPath


@dataclass(frozen=True)
class Levels:
    """The directories that limit a process, its own first and then each ancestor.

    `exact` is false where the process's own directory is not visible: then a limit may
    exist that none of the directories shows.
    """

    directories: tuple[PurePosixPath, ...]
    exact: bool


def parse_membership(text: str) -> list[Membership]:
    r"""The hierarchies of /proc/PID/cgroup (cgroups(7)).

    >>> parse_membership("4:cpu,cpuacct:/docker/a\n0::/init.scope\n")[1].version
    2
    """
    rows = (line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2)
    return [
        Membership(
            version=1 if controllers else 2,
            controllers=frozenset(filter(None, controllers.split(","))),
            path=PurePosixPath(path.removesuffix(" (deleted)") or "/"),
        )
        for _, controllers, path in rows
    ]


def parse_mounts(text: str) -> list[Mount]:
    """The cgroup mounts of /proc/PID/mountinfo (proc(5))."""
    mounts = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if not separator or len(left) < 5 or len(right) < 3:
            continue
        kind, options = right[0], right[2]
        if kind in {"cgroup", "cgroup2"}:
            mounts.append(
                Mount(
                    version=2 if kind == "cgroup2" else 1,
                    controllers=frozenset(options.split(",")) if kind == "cgroup" else frozenset(),
                    root=_path(left[3]),
                    point=_path(left[4]),
                )
            )
    return mounts


def levels(
    controller: str, memberships: list[Membership], mounts: list[Mount], root: Path
) -> Levels:
    """The directories in which `controller` limits a process of these memberships.

    On a hybrid host each controller is in one hierarchy only: v1 where its line names it,
    else v2. `root` stands before every path that is looked up, and in none that is returned.
    """
    own = _responsible(controller, memberships)
    if own is None:
        return Levels((), exact=True)
    if ".." in own.path.parts:  # outside the reader's cgroup namespace (cgroup_namespaces(7))
        return Levels((), exact=False)
    visible = [
        mount
        for mount in mounts
        if mount.version == own.version and (own.version == 2 or controller in mount.controllers)
    ]
    for mount in visible:
        if own.path.is_relative_to(mount.root):
            below = own.path.relative_to(mount.root)
            if under(root, mount.point / below).is_dir():
                return Levels(_upwards(mount.point, below), exact=True)
    return Levels(tuple(mount.point for mount in visible[:1]), exact=False)


def _responsible(controller: str, memberships: list[Membership]) -> Membership | None:
    ours = (entry for entry in memberships if controller in entry.controllers)
    unified = (entry for entry in memberships if entry.version == 2)
    return next(ours, None) or next(unified, None)


def _upwards(point: PurePosixPath, below: PurePosixPath) -> tuple[PurePosixPath, ...]:
    return tuple(point / part for part in (below, *below.parents))


def _path(field: str) -> PurePosixPath:
    return PurePosixPath(UNESCAPED.sub(lambda match: chr(int(match[1], 8)), field))
