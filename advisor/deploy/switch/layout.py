"""Where everything of ours is on a target, below a root: `/` on a host, a folder in a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CURRENT = "/etc/advisor/current"


@dataclass(frozen=True)
class Layout:
    """The paths of a host.

    >>> str(Layout(Path("/copy")).tree(7, "shop"))
    '/copy/etc/advisor/generations/7/shop'
    """

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """An absolute path of the host, below the root.

        >>> str(Layout(Path("/copy")).at("/etc/nginx/nginx.conf"))
        '/copy/etc/nginx/nginx.conf'
        """
        return self.root / path.lstrip("/")

    @property
    def etc(self) -> Path:
        """All that daemons read of ours."""
        return self.at("/etc/advisor")

    @property
    def generations(self) -> Path:
        """The whole trees, a folder a generation."""
        return self.etc / "generations"

    @property
    def current(self) -> Path:
        """The one symlink that every daemon's own path leads through."""
        return self.etc / "current"

    @property
    def state(self) -> Path:
        """What only root may read: journal, lock, requests, and what was replaced."""
        return self.at("/var/lib/advisor")

    @property
    def journal(self) -> Path:
        """One JSON line a step."""
        return self.state / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held through an operation; its content names the holder."""
        return self.state / "lock"

    @property
    def requests(self) -> Path:
        """Requests that wait or are worked on, and the controller's answers to what is held."""
        return self.state / "requests"

    @property
    def saved(self) -> Path:
        """What stood where ours stands now: a folder and a list a generation."""
        return self.state / "saved"

    @property
    def reserve(self) -> Path:
        """Bytes that are given back where a full disk would hinder the return."""
        return self.state / "reserve"

    @property
    def run(self) -> Path:
        """What a reboot may take: drained sites, what came of a return."""
        return self.at("/run/advisor")

    @property
    def program(self) -> Path:
        """The switch itself."""
        return self.at("/usr/local/lib/advisor/switch.pyz")

    @property
    def units(self) -> Path:
        """Where an administrator's systemd units are."""
        return self.at("/etc/systemd/system")

    def generation(self, number: int) -> Path:
        """One generation's folder."""
        return self.generations / str(number)

    def tree(self, number: int, app: str) -> Path:
        """One app's tree in a generation."""
        return self.generation(number) / app

    def destination(self, app: str, path: str) -> str:
        """Where a daemon's path leads: into whichever generation is current.

        >>> Layout().destination("shop", "nginx/shop.conf")
        '/etc/advisor/current/shop/nginx/shop.conf'
        """
        return str(self.at(f"{CURRENT}/{app}/{path}"))
