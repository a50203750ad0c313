"""A proxy's site, whichever proxy it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class AccessLog:
    """A log file and its format: nginx's log_format text, `combined`, or Caddy's `json`."""

    path: Path
    format: str


@dataclass(frozen=True)
class Site:
    """What a proxy does with requests for one address, host name and path.

    `upstreams` are as a server's `listen`: `127.0.0.1:8000`, `[::1]:8000`, `unix:/path`.
    `stub_status` is the URL of nginx's counters where the configuration has one on loopback.
    """

    proxy: Literal["nginx", "caddy"]
    upstreams: tuple[str, ...]
    access_logs: tuple[AccessLog, ...] = ()
    stub_status: str | None = None
