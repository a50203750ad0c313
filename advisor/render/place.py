"""Where the app is: the socket it listens on, how its proxy reaches it, who may."""

from __future__ import annotations

import ipaddress
import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.render.values import Inputs, IntentValues

# The proxies' groups in Debian's packages; their workers need them to open the app's socket.
PROXY_GROUPS = {"nginx": "www-data", "caddy": "caddy"}
LOOPBACK = ("127.0.0.1", "::1")


def stream(intent: IntentValues) -> str:
    """What the app listens on: the path of a unix socket, or an address and port."""
    if intent.listen in {None, "unix"}:
        return f"/run/{intent.app_name}/{intent.app_name}.sock"
    return str(intent.listen)


def is_unix(intent: IntentValues) -> bool:
    """Whether the app listens on a unix socket."""
    return stream(intent).startswith("/")


def reachable(where: str) -> str:
    """Where a client on the same host finds a listener: for a wildcard, the loopback.

    >>> reachable("0.0.0.0:8000"), reachable("[::1]:8000"), reachable("/run/a/a.sock")
    ('127.0.0.1:8000', '[::1]:8000', '/run/a/a.sock')
    """
    if where.startswith("/"):
        return where
    found = ipaddress.ip_address(address(where))
    if not found.is_unspecified:
        return where
    port = where.rpartition(":")[2]
    return f"127.0.0.1:{port}" if found.version == 4 else f"[::1]:{port}"


def address(where: str) -> str:
    """The address of `address:port`, without brackets.

    >>> address("[::1]:8000")
    '::1'
    """
    return where.rpartition(":")[0].strip("[]")


def proxy_group(intent: IntentValues) -> str | None:
    """The group that may open the app's socket: the proxy's; null where no proxy is chosen."""
    return PROXY_GROUPS.get(intent.proxy or "nginx")


def program(inputs: Inputs, name: str) -> str:
    """A program of the virtual environment, or the one that systemd finds on its own path."""
    virtualenv = inputs.intent.app_virtualenv
    return posixpath.join(virtualenv, "bin", name) if virtualenv else name


def installed(path: str, inputs: Inputs) -> str:
    """Where the target finds a file of the tree, whichever generation is current."""
    return f"/etc/advisor/current/{inputs.intent.app_name}/{path}"


def app_paths(intent: IntentValues) -> list[str]:
    """The folders that the app's processes have to reach."""
    paths = (intent.app_directory, intent.app_virtualenv, *(intent.app_writable or []))
    return [path for path in paths if path is not None]


def any_below(paths: Iterable[str], *roots: str) -> bool:
    """Whether a path is one of the roots or below it."""
    return any(path == root or path.startswith(f"{root}/") for path in paths for root in roots)


def slashed(path: str) -> str:
    """With a slash at the end; `location /x { alias /y/; }` would serve /y/../ as /x../."""
    return path if path.endswith("/") else f"{path}/"
