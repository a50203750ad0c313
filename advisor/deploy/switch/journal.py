"""The journal: one JSON line a step, on the disk before what follows it is begun.

A line is never changed. One that a power cut left half is passed over: what it announced had
not begun.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import disk

if TYPE_CHECKING:
    from .layout import Layout

# Nothing follows these. Only `return_failed` can leave work: see recover.unfinished.
TERMINAL = frozenset({"committed", "refused", "returned", "return_failed", "unchanged"})

OPERATION_SCHEMA = "advisor/operation/1"
# Beyond this the journal is written anew with its last operations.
MOST_BYTES = 1024 * 1024
KEPT_OPERATIONS = 100

# What a line may say of its operation, beside its step; the rest is for taking it back.
_SHOWN = ("verb", "app", "by", "from", "generation", "changed", "reason", "gate")

Line = dict[str, Any]


class Journal:
    """The journal of a host."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.journal

    def operations(self) -> dict[str, list[Line]]:
        """The lines of each operation by its id, oldest first."""
        found: dict[str, list[Line]] = {}
        for line in _lines(self._path):
            found.setdefault(line["id"], []).append(line)
        return found

    def lines(self, id_: str) -> list[Line]:
        """One operation's lines; none where it is not known."""
        return self.operations().get(id_, [])

    def size(self) -> int:
        """Its bytes; it only grows while an operation goes on."""
        return self._path.stat().st_size if self._path.exists() else 0

    def append(self, id_: str, step: str, **data: Any) -> None:
        """Write a step down; `OSError` where it cannot be: then the step must not be taken."""
        # By the clock that only goes on, which nothing is decided by either: how long steps take.
        clock_s = round(time.monotonic(), 3)
        line = {"id": id_, "step": step, "at": now(), "clock_s": clock_s, "boot": boot_id(), **data}
        disk.append(self._path, json.dumps(line, separators=(",", ":")).encode())

    def committed(self) -> dict[int, str]:
        """When each generation was committed (UTC, for people), oldest first."""
        lines = _lines(self._path)
        return {line["generation"]: line["at"] for line in lines if line["step"] == "committed"}

    def highest(self) -> int:
        """The highest generation that was ever begun; 0 for none."""
        return max((line.get("generation") or 0 for line in _lines(self._path)), default=0)

    def shorten(self, generations: frozenset[int]) -> None:
        """Drop old operations where it has grown long, but none that made these generations."""
        if not self._path.exists() or self._path.stat().st_size <= MOST_BYTES:
            return
        operations = self.operations()
        last = set(list(operations)[-KEPT_OPERATIONS:])
        kept = [
            json.dumps(line, separators=(",", ":"))
            for id_, lines in operations.items()
            if id_ in last or generations & {line.get("generation") for line in lines}
            for line in lines
        ]
        disk.replace(self._path, "".join(f"{line}\n" for line in kept).encode(), mode=0o600)


class Log:
    """The journal of one operation: `log("staged")` writes its next step down."""

    def __init__(self, journal: Journal, id_: str) -> None:
        self._journal, self.id = journal, id_

    def __call__(self, step: str, **data: Any) -> None:
        """As `Journal.append`."""
        self._journal.append(self.id, step, **data)

    @property
    def lines(self) -> list[Line]:
        """What it says so far."""
        return self._journal.lines(self.id)

    @property
    def steps(self) -> set[str]:
        """The steps that are written down."""
        return {line["step"] for line in self.lines}


def view(lines: list[Line]) -> dict[str, Any]:
    """What an operation's lines come to: the document that `status` and `wait` print."""
    shown: dict[str, Any] = dict.fromkeys(_SHOWN)
    for line in lines:
        shown.update({key: line[key] for key in _SHOWN if key in line})
    return {
        "schema": OPERATION_SCHEMA,
        "id": lines[0]["id"],
        **shown,
        "changed": shown["changed"] or [],
        "state": lines[-1]["step"],
        "since": lines[0]["at"],
    }


def now() -> str:
    """The time for people; nothing is decided by it, for clocks jump.

    A machine with a wrong clock still orders its generations by their numbers.
    """
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def boot_id() -> str:
    """Which boot of the machine this is (random(4)); empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lines(path: Path) -> list[Line]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return [line for line in map(_line, text.split(b"\n")) if line]


def _line(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(line, dict) and {"id", "step", "at"} <= set(line)
    return line if is_ours else None
