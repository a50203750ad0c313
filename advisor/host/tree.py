"""Reading below a root, so that a copied tree of /proc and /sys reads as its own host."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import PurePath

LIVE = Path("/")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def under(root: Path, path: PurePath | str) -> Path:
    """An absolute path of the examined host, as a path of this one; `..` leads out of no copy.

    >>> str(under(Path("/copy"), "/proc/meminfo")), str(under(Path("/copy"), "/../../etc/passwd"))
    ('/copy/proc/meminfo', '/copy/etc/passwd')
    """
    name = str(path) if root == LIVE else os.path.normpath(f"/{path}")
    return root / name.lstrip("/")


def proc(pid: int | None) -> str:
    """The directory of a process below /proc; None is the reading process."""
    return f"/proc/{'self' if pid is None else pid}"


def text(path: Path) -> str:
    """The text of a file without its final newline; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def link(path: Path) -> str:
    """Where a symbolic link leads; `OSError` where it may not be read.

    A copy may hold it as a file with the target's text: such a link cannot be followed out of it.
    """
    try:
        return str(path.readlink())
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: there is something, and it is no link
            raise
    return os.fsdecode(path.read_bytes())


def content(path: Path, *, most: int) -> bytes:
    """At most so many bytes of a regular file; `OSError` for anything else.

    For files that somebody else chose: a named pipe in its place would wait for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        return stream.read(most)


def clean(words: str) -> str:
    r"""Text without control characters and the halves that stand for bytes that are no UTF-8.

    Command lines and paths are bytes to the kernel; documents carry text only, and what is
    shown must not speak to the terminal.

    >>> clean("shop\x1b[2J") == "shop\ufffd[2J"
    True
    """
    return CONTROL.sub(
        "\ufffd", words.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
