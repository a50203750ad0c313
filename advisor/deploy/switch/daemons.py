"""What runs on a host beside the apps, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from .caddy import Caddy
from .nginx import Nginx
from .systemd import Manager, Systemd


@dataclass(frozen=True)
class Daemons:
    """The service manager and the proxies."""

    manager: Manager = field(default_factory=Systemd)
    nginx: Nginx = field(default_factory=Nginx)
    caddy: Caddy = field(default_factory=Caddy)

    def proxy(self, name: str | None) -> str | None:
        """The unit of a proxy by its name in install.json; null where there is none of ours."""
        return {"nginx": self.nginx.unit, "caddy": self.caddy.unit}.get(name or "")
