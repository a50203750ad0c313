"""One operation at a time on a host: flock(2) on a file whose content names who holds it.

The kernel lets go when the holder ends, however it ends; the content then stays, and means
nothing.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from typing import TYPE_CHECKING, Any

from .documents import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .layout import Layout

POLL_S = 0.05
# More than a name takes.
NAMED_BYTES = 1024


class Lock:
    """The host's lock, held from `take` until `release` or the process's end."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.lock
        self._descriptor: int | None = None

    def take(self, holder: Mapping[str, Any], *, wait_s: float) -> None:
        """Hold the lock, under this holder's name.

        Raises `Refused`, naming the one that holds it, where it is not free within `wait_s`.
        """
        descriptor = _opened(self._path)
        until = time.monotonic() + wait_s
        while not _is_ours(descriptor, fcntl.LOCK_EX):
            if time.monotonic() >= until:
                os.close(descriptor)
                raise Refused(busy(_content(self._path)))
            time.sleep(POLL_S)
        self._descriptor = descriptor
        self.name(holder)

    def name(self, holder: Mapping[str, Any]) -> None:
        """Say who holds it now. A disk that takes no more leaves the name out; the lock holds."""
        if self._descriptor is None:
            return
        try:
            # In one write, for somebody may be reading who it is.
            content = json.dumps(holder).encode().ljust(NAMED_BYTES)
            os.pwrite(self._descriptor, content, 0)
            os.ftruncate(self._descriptor, len(content))
        except OSError:
            return

    def release(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _opened(path: Path) -> int:
    """Held on a read-only disk all the same: what a return puts back is elsewhere."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def holder(layout: Layout) -> dict[str, Any] | None:
    """Who holds the lock now; null where nobody does. Nothing is written."""
    try:
        descriptor = os.open(layout.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        is_free = _is_ours(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    return None if is_free else _content(layout.lock)


def _is_ours(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _content(path: Any) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def busy(who: Mapping[str, Any]) -> Refusal:
    """The refusal that names a holder."""
    words = f"{who.get('by', 'somebody')} is at work here"
    if who.get("app"):
        words += f": {who.get('verb')} of {who['app']}"
    if who.get("since"):
        words += f", since {who['since']}"
    return Refusal(
        "lock", words, look="Wait until it has ended, then look at what it left: apply --check."
    )
