"""Whether nobody but root can have written what the switch goes by.

It acts as root on what it reads: a folder that others may write into, or a file that is another's,
would let them choose what that is. Nothing of it is mended here, for what it holds may be theirs
already.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from .documents import INSTALL_PATH, MANIFEST_PATH, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layout import Layout

# Those that their group, or anybody, may write.
OTHERS = stat.S_IWGRP | stat.S_IWOTH
LOOK = "Look at what it holds and who wrote it; then chown it to root, chmod go-w, and apply again."


def check(layout: Layout, current: int | None) -> None:
    """Raise `Refused` naming the first paths that others could have written."""
    found = [f"{path} {what}" for path in _relied_on(layout, current) if (what := problem(path))]
    if found:
        raise refuse("live", "what is not root's alone is not trusted: " + "; ".join(found), LOOK)


def problem(path: Path) -> str | None:
    """Why a path is not root's alone, in words; null where it is, or where nothing is."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return problem_of(found)


def problem_of(found: os.stat_result) -> str | None:
    """As `problem`, of what stat(2) says; a link's own mode means nothing (symlink(7))."""
    # Root's, or the tester's, whose process this is then.
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to the user with the number {found.st_uid}"
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS:
        return f"may be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _relied_on(layout: Layout, current: int | None) -> Iterator[Path]:
    """The program, the state, and every generation; no folder of those is followed out of it."""
    yield from (layout.program.parent, layout.program, layout.etc, layout.current)
    yield from (layout.state, layout.journal, layout.requests, layout.saved)
    yield from sorted(layout.requests.glob("*"))
    yield layout.generations
    for place, _, names in os.walk(layout.generations):
        folder = Path(place)
        yield folder
        is_live = current is not None and layout.generation(current) in folder.parents
        # The mode and owner of a live file are its row's: another one is drift, and named as such.
        of_ours = {INSTALL_PATH.rpartition("/")[2], MANIFEST_PATH.rpartition("/")[2]}
        yield from (folder / name for name in names if not is_live or name in of_ours)
