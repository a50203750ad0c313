"""Following an access log while it grows, and reading back its last minutes."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from advisor.errors import InvalidInput
from advisor.probe.passive.formats import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from advisor.probe.passive.entry import Entry
    from advisor.probe.passive.formats import Parser

CHUNK = 1 << 20
MAX_AT_ONCE = 64 << 20
RECENT_BYTES = 4 << 20
# A proxy writes to a rotated file until it is told to open the new one.
MAX_FILES = 4


@dataclass
class _Open:
    """One file of the log, read up to `position`; `rest` is a last line that has not ended."""

    descriptor: int
    position: int
    rest: bytes = b""
    skipping: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """Which file it is, whatever it is called."""
        status = os.fstat(self.descriptor)
        return status.st_dev, status.st_ino

    def lines(self) -> Iterator[str]:
        """The lines that have ended since the last call; from the start after a truncation."""
        size = os.fstat(self.descriptor).st_size
        if size < self.position:
            self.position, self.rest, self.skipping = 0, b"", False
        # What is written meanwhile is the next call's: this one has an end.
        end = min(size, self.position + MAX_AT_ONCE)
        while self.position < end:
            chunk = os.pread(self.descriptor, min(CHUNK, end - self.position), self.position)
            if not chunk:
                return
            self.position += len(chunk)
            *ended, self.rest = (self.rest + chunk).split(b"\n")
            for line in ended:
                if self.skipping:
                    self.skipping = False
                elif len(line) <= MAX_LINE:
                    yield line.rstrip(b"\r").decode("utf-8", "replace")
            if len(self.rest) > MAX_LINE:
                self.rest, self.skipping = b"", True


@dataclass
class Follower:
    """The lines that are written to a log from now on, inside a `with`.

    It goes on over a rotation: a new file under the name, or the same one made empty.
    `lost` says why a new file could not be read.

    Raises `InvalidInput` for what cannot be read or is no regular file.
    """

    path: Path
    lost: str | None = None
    _files: list[_Open] = field(default_factory=list)

    def __enter__(self) -> Self:
        descriptor = opened(self.path)
        self._files = [_Open(descriptor, os.fstat(descriptor).st_size)]
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._files:
            os.close(each.descriptor)
        self._files = []

    def lines(self) -> Iterator[str]:
        """The lines written since the last call."""
        self._look_for_another()
        for each in self._files:
            yield from each.lines()

    def _look_for_another(self) -> None:
        """Add the file that the name now stands for, from its start, if it is another."""
        try:
            status = self.path.stat()
        except OSError:  # moved away, and no new one yet
            return
        if any(each.identity == (status.st_dev, status.st_ino) for each in self._files):
            return
        try:
            descriptor = opened(self.path)
        except InvalidInput as error:
            self.lost = error.message
            return
        self.lost = None
        self._files.append(_Open(descriptor, 0))
        if len(self._files) > MAX_FILES:
            os.close(self._files.pop(0).descriptor)


def opened(path: Path) -> int:
    """A descriptor of a log for reading; `InvalidInput` says why not, and what to do."""
    shown = ascii(str(path))
    try:
        # A named pipe in its place would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) else None
        why = os.strerror(code) if code else "no path"
        remedy = (
            "Run as root, or as a user of the log's group (adm on Debian)."
            if code in {errno.EACCES, errno.EPERM}
            else "Name the proxy's access log; `nginx -T` shows where it is."
        )
        raise InvalidInput(f"access log {shown}: {why}", remedy=remedy) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput(
            f"access log {shown}: no regular file",
            remedy="What goes to a pipe or a console cannot be read back: log to a file.",
        )
    return descriptor


def recent(
    path: Path, parser: Parser, seconds: float, *, most_bytes: int = RECENT_BYTES
) -> list[Entry]:
    """The requests that a log tells of the last `seconds`, oldest first.

    Read from the end, at most `most_bytes`, and from the rotated file (`.1`) where the log is
    younger. Entries without a time count where the file was written to since then. Raises
    `InvalidInput` as `opened` does.
    """
    since = time.time() - seconds
    found, whole = _tail(path, parser, since, most_bytes)
    if whole:
        with suppress(InvalidInput):  # it was never rotated
            older, _ = _tail(path.with_name(path.name + ".1"), parser, since, most_bytes)
            return older + found
    return found


def _tail(path: Path, parser: Parser, since: float, most: int) -> tuple[list[Entry], bool]:
    """The entries, and whether the whole file is younger than `since`."""
    descriptor = opened(path)
    try:
        status = os.fstat(descriptor)
        if status.st_mtime < since:
            return [], status.st_size == 0
        start = max(0, status.st_size - most)
        raw = os.pread(descriptor, most, start)
    finally:
        os.close(descriptor)
    lines = raw.split(b"\n")
    del lines[-1:]  # one that has not ended, or nothing
    if start:
        del lines[:1]  # the end of one
    texts = (line.decode("utf-8", "replace") for line in lines if len(line) <= MAX_LINE)
    entries = [entry for text in texts if (entry := parser(text)) is not None]
    young = [entry for entry in entries if entry.at is None or entry.at >= since]
    return young, not start and len(young) == len(entries)
