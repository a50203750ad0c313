"""Requests on their way: written whole before anybody is told, gone once they have their end.

Beside a request lies the controller's answer to what is held: `<id>.commit` or `<id>.return`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import disk
from .journal import boot_id, now

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from .layout import Layout

ANSWERS = ("commit", "return")


@dataclass(frozen=True)
class Waiting:
    """A request that was taken in: in which boot of the machine, and when (UTC, for people)."""

    id: str
    boot: str
    since: str
    request: dict[str, Any]

    @property
    def who(self) -> dict[str, Any]:
        """As the lock names its holder."""
        shown = {key: self.request.get(key) for key in ("by", "verb", "app")}
        return {"id": self.id, **shown, "since": self.since}


def make_folders(layout: Layout) -> None:
    """Make what is needed to take a request in; /var/lib/advisor is root's alone."""
    disk.make_folders(layout.state.parent)
    for folder in (layout.state, layout.requests, layout.saved):
        disk.make_folder(folder, mode=0o700)


def submit(layout: Layout, id_: str, request: dict[str, Any]) -> None:
    """Take a request in, for good."""
    content = {"boot": boot_id(), "since": now(), "request": request}
    disk.replace(_file(layout, id_), json.dumps(content).encode(), mode=0o600)


def waiting(layout: Layout) -> list[Waiting]:
    """The requests that have not had their end, the first taken in first.

    What no request can be read from is passed over: it was never taken in.
    """
    if not layout.requests.is_dir():
        return []
    files = [each for each in layout.requests.iterdir() if each.suffix == ".json"]
    found = [_waiting(each) for each in sorted(files, key=lambda each: each.stat().st_mtime_ns)]
    return [one for one in found if one]


def answer(layout: Layout, id_: str) -> str | None:
    """What the controller wants of a held operation; a return outweighs a commit."""
    given = [word for word in ANSWERS if (layout.requests / f"{id_}.{word}").exists()]
    return given[-1] if given else None


def give_answer(layout: Layout, id_: str, word: str) -> None:
    """Answer, for good."""
    path = layout.requests / f"{id_}.{word}"
    disk.replace(path, b"", mode=0o600)


def finish(layout: Layout, id_: str) -> None:
    """Forget a request that has its end in the journal."""
    for word in (*ANSWERS, "json"):
        disk.discard(layout.requests / f"{id_}.{word}")


def sweep(layout: Layout, ended: Container[str]) -> None:
    """Forget the requests that have their end, and answers that came too late."""
    for path in sorted(layout.requests.iterdir()):
        if path.name.startswith(".") or path.stem in ended:
            disk.discard(path)


def _file(layout: Layout, id_: str) -> Path:
    return layout.requests / f"{id_}.json"


def _waiting(path: Path) -> Waiting | None:
    try:
        data = json.loads(path.read_bytes())
        return Waiting(path.stem, data["boot"], data["since"], dict(data["request"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
