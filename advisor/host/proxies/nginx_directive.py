"""nginx's configuration as a tree, whichever file a part of it stands in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Directive:
    """One directive, with the directives inside it where it is a block."""

    name: str
    args: tuple[str, ...] = ()
    block: tuple[Directive, ...] | None = None

    def all(self, name: str) -> Iterator[Directive]:
        """The directives of that name right inside the block."""
        return (entry for entry in self.block or () if entry.name == name)

    def has(self, *names: str) -> bool:
        """Whether one of them stands right inside the block."""
        return any(entry.name in names for entry in self.block or ())
