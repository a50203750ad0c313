"""Where a server's settings say that it listens, for a user who may not see its sockets."""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING

from advisor.host.sockets import UnixListener

if TYPE_CHECKING:
    from advisor.host.describe import Described
    from advisor.host.settings import Settings
    from advisor.host.sockets import Listener


def binds(described: Described, listener: Listener | UnixListener) -> bool:
    """Whether the settings that can be seen say that the server listens there."""
    said = said_by(described.server.kind, described.settings)
    if isinstance(listener, UnixListener):
        folder = described.server.directory or "/"
        paths = (bind.removeprefix("unix:") for bind in said if bind.startswith("unix:"))
        return any(_real(folder, path) == _real(folder, listener.path) for path in paths)
    return any(_reaches(bind, listener) for bind in said)


def said_by(kind: str, settings: Settings) -> list[str]:
    """The places that a server's settings name: `host:port`, `unix:/path`, or another spelling.

    >>> from advisor.host.settings import Layer, Settings
    >>> said_by("uvicorn", Settings((Layer({"port": 80}),)))
    ['127.0.0.1:80']
    >>> said_by("hypercorn", Settings((Layer({"bind": "unix:/run/s,[::1]:80"}),)))
    ['unix:/run/s', '[::1]:80']
    """
    get = settings.get
    given = get("bind", None)
    if kind in {"uvicorn", "granian"} and given is None:
        path = get("uds", None)
        host, port = get("host", None) or "127.0.0.1", get("port", None) or 8000
        return [f"unix:{path}" if path else f"{host}:{port}"]
    # Gunicorn's and Hypercorn's default; a Granian that setproctitle renamed shows its own.
    return str(given or "127.0.0.1:8000").split(",")


def _reaches(bind: str, listener: Listener) -> bool:
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isdecimal():  # Hypercorn's and Gunicorn's default port
        host, port = bind, "8000"
    host = host.strip("[]") or "0.0.0.0"  # noqa: S104 - Gunicorn's meaning of ":8000", compared
    try:
        same = ipaddress.ip_address(host) == listener.address
    except ValueError:  # a name; which address it had when the server bound is not known
        same = True
    return same and port == str(listener.port)


def _real(folder: str, path: str) -> str | None:
    try:
        return os.path.realpath(os.path.join(folder, path))  # noqa: PTH118 - a text of somebody else
    except ValueError:
        return None
