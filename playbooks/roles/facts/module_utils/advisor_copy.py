# ruff: noqa: INP001, PTH112, PTH115, PTH208 - found by its folder; paths are bytes
"""What was read of a host, as plain data: files, links and folders by their paths there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 2**20


class Copy:
    """What was read so far. Texts stand for bytes in Latin-1, which loses none."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.folders: set[str] = set()
        self.denied: set[str] = set()

    def file(
        self, path: str, change: Callable[[bytes], bytes] | None = None, name: str | None = None
    ) -> bytes:
        """Take a file, changed by a function where one is given; what was taken, or nothing.

        `name` is its path in the copy, where that is another one.
        """
        try:
            content = read(path)
        except PermissionError:
            self.denied.add(latin(path))
            return b""
        except (OSError, ValueError):
            return b""
        content = change(content) if change else content
        self.files[latin(name or path)] = content.decode("latin-1")
        return content

    def link(self, path: str) -> str:
        """Take where a link leads; that, or nothing."""
        try:
            target = os.readlink(path)
        except PermissionError:
            self.denied.add(latin(path))
            return ""
        except OSError:
            return ""
        self.links[latin(path)] = latin(target)
        return target

    def folder(self, path: str) -> None:
        """Take a folder, by its name alone, if it is there."""
        if os.path.isdir(path):
            self.folders.add(latin(path))


def latin(path: str) -> str:
    """A path as a text of its bytes."""
    return os.fsencode(path).decode("latin-1")


def read(path: str) -> bytes:
    """The bytes of a regular file, of at most `MOST_BYTES`; `OSError` for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(path)
        return stream.read(MOST_BYTES)


def entries(path: str) -> list[str]:
    """The names in a folder; none where it may not be read."""
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def lines(text: bytes, wanted: Callable[[bytes], bool]) -> bytes:
    """The lines of a text that are wanted."""
    return b"".join(line for line in text.splitlines(keepends=True) if wanted(line))
