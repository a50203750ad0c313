"""Generations on the disk: which there are, what is in them, a new one staged whole.

A generation has its number only once all of it is on the disk: it is written under a name that
starts with a dot, and renamed.
"""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

from . import disk
from .documents import INSTALL_PATH, Install, Refused, Tree, refuse
from .trees import OURS, install_of, says_the_same

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .documents import Row
    from .layout import Layout

KEPT = 10
UNBORN, GONE = ".new-", ".gone-"
# Debian's caddy.service, redis-server.service, prometheus.service and grafana-server.service read
# their files as their own users (User= in each); nginx, systemd and sysctl read as root.
READ_AS_THEMSELVES = frozenset({"caddy", "load_balancer", "redis", "monitoring"})


def numbers(layout: Layout) -> list[int]:
    """The generations that are there, oldest first."""
    try:
        names = [each.name for each in layout.generations.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())


def current(layout: Layout) -> int | None:
    """The generation that `current` leads to; null where there is no such link.

    Raises `Refused` where something else is in its place.
    """
    try:
        text = str(layout.current.readlink())
    except FileNotFoundError:
        return None
    except OSError:
        text = ""
    folder, _, name = text.rpartition("/")
    if folder != layout.generations.name or not name.isdecimal():
        raise refuse(
            "live",
            f"{layout.current} is no link to a generation",
            "Somebody has put something in its place: move it away, and apply again.",
        )
    return int(name)


def swap(layout: Layout, number: int | None) -> None:
    """Make a generation the current one, in one step; null for none."""
    disk.discard(disk.making(layout.current))
    if number is None:
        disk.discard(layout.current)
    elif _text(layout.current) != f"{layout.generations.name}/{number}":
        disk.replace_link(layout.current, f"{layout.generations.name}/{number}")


def trees(layout: Layout, number: int | None) -> dict[str, Tree]:
    """Every app's tree in a generation; none for null.

    Raises `Refused` where the generation, or an app's install.json, is not there.
    """
    if number is None:
        return {}
    try:
        entries = sorted(os.scandir(layout.generation(number)), key=lambda each: each.name)
    except OSError:
        raise refuse(
            "live",
            f"generation {number} is not there, and {layout.current} leads to it",
            "Install an older one whole: advisor rollback --all-apps --to N (--list shows them).",
        ) from None
    found: dict[str, Tree] = {
        entry.name: read_tree(Path(entry.path)) for entry in entries if entry.is_dir()
    }
    for app, tree in found.items():
        if INSTALL_PATH not in tree:
            raise refuse(
                "live",
                f"generation {number} is not whole: {app}/{INSTALL_PATH} is not there",
                "Install an older one whole: advisor rollback --all-apps --to N.",
            )
    return found


def installs(layout: Layout, number: int | None) -> dict[str, Install]:
    """What each app of a generation says of itself; `Refused` as `trees`."""
    return {app: install_of(tree, app) for app, tree in trees(layout, number).items()}


def read_tree(folder: Path) -> dict[str, bytes]:
    """A tree's files by their paths in it; links and what is no plain file are passed over."""
    found: dict[str, bytes] = {}
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def stage(layout: Layout, number: int, wanted: Mapping[str, Tree], base: int | None) -> Path:
    """Write a generation whole; its folder.

    A file that says the same in the base keeps its time: what has read that one needs no other.
    Raises `Refused` where an owner or a group is not known here, `OSError` where the disk fails.
    """
    folder = _unborn(layout, number)
    disk.remove_tree(folder)
    write(layout, folder, wanted, base)
    disk.rename(folder, layout.generation(number))
    return layout.generation(number)


def write(layout: Layout, folder: Path, wanted: Mapping[str, Tree], base: int | None) -> None:
    """Write apps' trees into a new folder, as `stage` does."""
    disk.make_folder(folder, mode=0o755)
    for app, tree in sorted(wanted.items()):
        before = layout.tree(base, app) if base is not None else None
        _write_app(folder / app, tree, install_of(tree, app), before)
    disk.sync(folder)


def discard(layout: Layout, number: int) -> None:
    """Remove a generation; what is left of one after a power cut is no generation any more."""
    folder = layout.generation(number)
    if folder.is_dir():
        disk.remove_tree(_gone(layout, number))
        disk.rename(folder, _gone(layout, number))
    sweep(layout)


def sweep(layout: Layout) -> None:
    """Remove what interrupted work left half written or half removed."""
    if layout.generations.is_dir():
        for entry in sorted(layout.generations.iterdir()):
            if entry.name.startswith((UNBORN, GONE)):
                disk.remove_tree(entry)


def prune(layout: Layout, committed: Iterable[int]) -> None:
    """Remove all that is older than the last committed generations, but the current one."""
    kept = sorted(committed)[-KEPT:]
    if len(kept) == KEPT:
        for number in numbers(layout):
            if number < kept[0] and number != current(layout):
                discard(layout, number)


def user_id(name: str) -> int:
    """A user's number; `Refused` where it is not known here."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise _unknown("user", name) from None


def group_id(name: str) -> int:
    """A group's number; `Refused` where it is not known here."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise _unknown("group", name) from None


def _unknown(kind: str, name: str) -> Refused:
    return refuse(
        "staged",
        f"the {kind} {name} is not known on this host",
        f"Make it first: the roles do, as the tree's sysusers.conf says; or name another {kind}.",
    )


def _write_app(folder: Path, tree: Tree, install: Install, before: Path | None) -> None:
    ours = os.geteuid()
    group = group_id(install.group)
    rows = {row.path: row for row in install.files}
    # Others may pass through, and not look, where a daemon reads as a user of its own.
    is_passed = any(row.component in READ_AS_THEMSELVES for row in install.files)
    disk.make_folder(folder, mode=0o751 if is_passed else 0o750, owner=ours, group=group)
    for path, content in sorted(tree.items()):
        row = rows.get(path)
        target = folder / path
        _make_parents(target.parent, folder, group)
        disk.write(
            target,
            content,
            mode=row.mode if row else 0o640,
            owner=user_id(row.owner) if row else ours,
            group=group_id(row.group) if row else group,
            modified_ns=_time(before / path, content) if before else None,
        )
    for place, _, _ in os.walk(folder, topdown=False):
        disk.sync(Path(place))


def _make_parents(parent: Path, folder: Path, group: int) -> None:
    """The folders between an app's own and a file; the app's own says who gets that far."""
    steps = parent.relative_to(folder).parts
    for depth in range(1, len(steps) + 1):
        is_ours = steps[0] == OURS.rstrip("/")
        mode = 0o750 if is_ours else 0o755
        disk.make_folder(folder.joinpath(*steps[:depth]), mode=mode, owner=-1, group=group)


def _time(path: Path, content: bytes) -> int | None:
    try:
        same = says_the_same(path.read_bytes(), content)
        return path.stat().st_mtime_ns if same else None
    except OSError:
        return None


def attribute_problem(path: Path, row: Row) -> str | None:
    """How a file's owner, group or mode differ from its row's, in words."""
    found = path.stat()
    mode = found.st_mode & 0o7777
    if mode != row.mode:
        return f"has mode {mode:04o}, not {row.mode:04o}"
    try:
        is_right = (user_id(row.owner), group_id(row.group)) == (found.st_uid, found.st_gid)
    except Refused:
        is_right = False
    if not is_right:
        return f"does not belong to {row.owner}:{row.group}"
    return None


def _text(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:
        return None


def _unborn(layout: Layout, number: int) -> Path:
    return layout.generations / f"{UNBORN}{number}"


def _gone(layout: Layout, number: int) -> Path:
    return layout.generations / f"{GONE}{number}"
