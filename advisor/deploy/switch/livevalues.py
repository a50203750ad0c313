"""Values that live in a kernel or a daemon, not in a file: what they were before ours.

For each the first value found is kept, with the apps that set it since; when the last of them has
gone, it is put back. Written and synced before the value is touched, so that a crash loses none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import disk

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Store:
    """Values of one kind (`sysctl`, `redis`) in the file of them all."""

    path: Path
    kind: str

    def names(self, app: str) -> list[str]:
        """What an app sets."""
        return [
            name for name, entry in self._read().get(self.kind, {}).items() if app in entry["apps"]
        ]

    def keep(self, app: str, found: dict[str, str]) -> None:
        """An app sets these now; what they were is kept where nobody set them before."""
        all_kinds = self._read()
        mine = all_kinds.setdefault(self.kind, {})
        for name, value in found.items():
            entry = mine.setdefault(name, {"value": value, "apps": []})
            entry["apps"] = sorted({*entry["apps"], app})
        self._write(all_kinds)

    def due(self, app: str, names: Iterable[str]) -> dict[str, str]:
        """Those of the names that nobody but this app sets, with what they were before."""
        mine = self._read().get(self.kind, {})
        return {
            name: str(mine[name]["value"])
            for name in names
            if name in mine and set(mine[name]["apps"]) <= {app}
        }

    def forget(self, app: str, names: Iterable[str]) -> None:
        """An app sets these no more, and what was due has been put back."""
        all_kinds = self._read()
        mine = all_kinds.get(self.kind, {})
        for name in set(names) & set(mine):
            mine[name]["apps"] = [each for each in mine[name]["apps"] if each != app]
            if not mine[name]["apps"]:
                del mine[name]
        self._write(all_kinds)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, content: dict[str, dict[str, Any]]) -> None:
        """Whole or not at all, and on the disk before this returns."""
        for folder in (self.path.parent.parent, self.path.parent):
            if not folder.exists():
                disk.make_folder(folder, mode=0o700)
        text = json.dumps(content, indent=1, sort_keys=True)
        disk.replace(self.path, f"{text}\n".encode(), mode=0o600)
