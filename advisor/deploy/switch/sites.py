"""A balancer's site: the daemon's own path to it, which may lead to a copy for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import disk, leases
from .documents import INSTALL_PATH, Install, refuse
from .peers import KINDS, Peer, peers, without

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from .documents import Row
    from .layout import Layout

BALANCER = "load_balancer"


@dataclass(frozen=True)
class Site:
    """The daemon's path, the installed file that it leads to, and the folder for a copy."""

    app: str
    kind: str
    target: Path
    installed: Path
    folder: Path

    @property
    def copy(self) -> Path:
        """The site without the peers that are out."""
        return self.folder / self.installed.name

    @property
    def is_copied(self) -> bool:
        """Whether the daemon's path leads to the copy."""
        return self._leads_to(self.copy)

    @property
    def is_ours(self) -> bool:
        """Whether it leads where we point it, here or there."""
        return self.is_copied or self._leads_to(self.installed)

    @property
    def peers(self) -> list[Peer]:
        """The hosts of the installed site."""
        return peers(self.installed.read_text(encoding="utf-8"), self.kind)

    def place(self, out: Collection[str]) -> None:
        """Let the daemon's path lead to a copy without these peers, or to what is installed."""
        if not out:
            disk.replace_link(self.target, str(self.installed))
            return
        text, status = self.installed.read_text(encoding="utf-8"), self.installed.stat()
        content = without(text, self.kind, out).encode()
        disk.replace(self.copy, content, mode=status.st_mode & 0o777, group=status.st_gid)
        disk.replace_link(self.target, str(self.copy))

    def _leads_to(self, place: Path) -> bool:
        return self.target.is_symlink() and self.target.readlink() == place


def find(layout: Layout, app: str) -> Site | None:
    """The site that balances an app on this host; null where none does."""
    for row in _rows(layout, app) if app in apps(layout) else ():
        name = row.path.rpartition("/")[2].rpartition(".")[0]
        if row.component == BALANCER and name == app and row.checker in KINDS:
            return Site(
                app=app,
                kind=row.checker,
                target=layout.at(row.target),
                installed=layout.current / app / row.path,
                folder=leases.drained(layout) / app,
            )
    return None


def found(layout: Layout, app: str) -> Site:
    """As `find`; `Refused` where none does."""
    site = find(layout, app)
    if site is None:
        known = ", ".join(apps(layout)) or "nothing"
        message = f"no load balancer of {app} is installed on this host"
        raise refuse("drain", message, f"Installed here: {known}.")
    return site


def apps(layout: Layout) -> list[str]:
    """The apps of the current generation."""
    return sorted(path.parent.parent.name for path in layout.current.glob(f"*/{INSTALL_PATH}"))


def restore(layout: Layout) -> list[str]:
    """Point every daemon's path that leads to a copy back to what is installed; gives the paths.

    For the boot, before the daemons start: nothing is reloaded, and no lease is left.
    """
    copies = leases.drained(layout)
    pointed = []
    for app in apps(layout):
        for row in _rows(layout, app):
            target = layout.at(row.target)
            if target.is_symlink() and copies in target.readlink().parents:
                disk.replace_link(target, layout.destination(app, row.path))
                pointed.append(row.target)
        leases.write(leases.drained(layout) / app, {})
    return pointed


def _rows(layout: Layout, app: str) -> Sequence[Row]:
    return Install.from_json((layout.current / app / INSTALL_PATH).read_bytes()).files
