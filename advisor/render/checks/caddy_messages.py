"""What Caddy says on stderr, and where in the files. Pure.

Up to 2.6 a complaint begins with its places, the outermost first; later ones end with them, the
innermost first (tried with Caddy 2.6.2 and 2.11.7). Some lines are JSON and some are not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLACE = re.compile(r"(?P<file>/[^\s:]+):(?P<line>\d+)")
_AROUND = re.compile(
    r"Error: |adapting config using caddyfile: |parsing caddyfile tokens for '[^']*': "
    r"|Error during parsing: |/[^\s:]+:\d+(?::| -) "
)
_UNKNOWN = re.compile(r"unrecognized directive: (?P<name>\S+)")


@dataclass(frozen=True)
class Message:
    """A complaint; `file` and `line` are null where Caddy names no place.

    `word` begins the line that is meant where Caddy names another, the block's last.
    """

    what: str
    file: str | None = None
    line: int | None = None
    word: str | None = None


def warnings(stderr: str) -> Iterator[Message]:
    """Warnings and errors, of a run that may have succeeded."""
    for line in stderr.splitlines():
        entry = _entry(line)
        if entry is None and "[WARNING]" in line:
            yield _message(line.partition("[WARNING]")[2])
        elif entry is not None and entry.get("level") in {"warn", "error"}:
            yield _message(_text(entry))


def failures(stderr: str) -> Iterator[Message]:
    """What a run says that failed."""
    for line in stderr.splitlines():
        entry = _entry(line)
        if entry is None and line.startswith("Error: "):
            yield _message(line)
        elif entry is not None and entry.get("level") == "error":
            yield _message(_text(entry))


def _text(entry: dict[str, object]) -> str:
    where = f"{entry['file']}:{entry.get('line', 1)}: " if "file" in entry else ""
    return f"{where}{entry.get('msg')}"


def _entry(line: str) -> dict[str, object] | None:
    try:
        entry = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _message(text: str) -> Message:
    cause, at, trail = text.partition(", at /")
    places = list(_PLACE.finditer(f"/{trail}" if at else cause))
    what, unknown = _cause(cause), _UNKNOWN.search(cause)
    if not places:
        return Message(what)
    innermost = places[0] if at else places[-1]
    word = unknown["name"] if unknown else None
    return Message(what, innermost["file"], int(innermost["line"]), word)


def _cause(text: str) -> str:
    return _AROUND.sub("", text).strip()
