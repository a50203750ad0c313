"""What is not as the last apply left it: edited files, changed modes, links that lead elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import generations, links
from .trees import edits

if TYPE_CHECKING:
    from .documents import Install, Tree
    from .layout import Layout


@dataclass(frozen=True)
class Drift:
    """One thing of an app that is not as it was installed.

    `path` is the file's in the tree, `shown` where an administrator meets it: the same, or the
    daemon's own path where the link is meant. `is_edit`: there are bytes that would be lost.
    """

    path: str
    shown: str
    what: str
    is_edit: bool = False

    @property
    def words(self) -> str:
        """As a line of a message."""
        return f"{self.shown} {self.what}"


def of_app(layout: Layout, number: int, install: Install, tree: Tree) -> list[Drift]:
    """What of an app drifted since this generation, which is current, was installed."""
    found = [Drift(path, path, what, path in tree) for path, what in edits(tree).items()]
    for row in install.files:
        path = layout.tree(number, install.app) / row.path
        what = generations.attribute_problem(path, row) if path.is_file() else None
        if what:
            found.append(Drift(row.path, row.path, what))
    for row in links.linked(install):
        what = links.problem_of(layout, install.app, row)
        if what:
            found.append(Drift(row.path, row.target, what))
    return found
