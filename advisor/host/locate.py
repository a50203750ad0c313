"""From an address to the app server behind it, through the proxies that run here."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.host import processes, servers, sockets
from advisor.host.describe import plain
from advisor.host.proxies.find import find_site
from advisor.host.tree import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.documents import Server
    from advisor.host.proxies.site import Site

MAX_PROXIES = 3
UPSTREAM = re.compile(r"(?P<host>\[[^\]]+\]|[^:\[\]]+):(?P<port>\d{1,5})")
REMEDY = "give the app's own URL, or --pid of its server"


@dataclass(frozen=True)
class Located:
    """The server that answers a request, and the way to it.

    `through` are the proxies in between, the outermost first; `upstream` is where the last of
    them sends the request, as a server's `listen`; `site` is what the first does with it.
    """

    server: Server | None
    through: tuple[str, ...] = ()
    upstream: str | None = None
    site: Site | None = None
    unknown: tuple[Unknown, ...] = ()


def locate(address: str, port: int, *, host: str, path: str) -> Located:
    """The app server that answers a request sent to an IP address and port of this host.

    `host` is the name in the request's Host header, `path` its path. Where no app server is
    found, `server` is None and `unknown` says why. `InvalidInput` if `address` is no IP address.
    """
    return _beyond(f"[{address}]" if ":" in address else address, port, host, path, MAX_PROXIES)


def _beyond(address: str, port: int, host: str, path: str, left: int) -> Located:
    """What is behind an address (`unix:/path` with port 0), at most so many proxies away."""
    place = address if port == 0 else f"{address}:{port}"
    server, unknown = _holder(address, port, host, path)
    if server is None or server.kind not in servers.PROXIES:
        return Located(server, unknown=tuple(unknown))
    what = f"the app server behind {server.kind} at {place}"
    if not left:
        why = f"there are more than {MAX_PROXIES} proxies before it"
        return Located(None, unknown=(Unknown(what=what, why=why, remedy=REMEDY),))
    site, gaps = find_site(server, address.strip("[]"), port, host, path)
    here = Located(None, (server.kind,), None, site, (*unknown, *gaps))
    if site is None or not site.upstreams:  # `gaps` says why
        return here
    return _through(here, what, host, path, left - 1)


def _through(here: Located, what: str, host: str, path: str, left: int) -> Located:
    """The first upstream of a proxy that leads to a server found here; the others are named."""
    upstreams = here.site.upstreams if here.site else ()
    failed: list[Unknown] = []
    for upstream in upstreams:
        found = _upstream(upstream, host, path, left)
        if found.server is None:
            failed += found.unknown
            continue
        others = [other for other in upstreams if other != upstream]
        why = f"it is one of {len(upstreams)}: others are {', '.join(others[:5])}"
        spread = [Unknown(what=what, why=why, remedy="give --pid of the one that matters")]
        return replace(
            found,
            through=(*here.through, *found.through),
            upstream=found.upstream or upstream,
            site=here.site,
            unknown=(*here.unknown, *(spread if others else ()), *found.unknown),
        )
    return replace(here, upstream=upstreams[0], unknown=(*here.unknown, *failed))


def _upstream(upstream: str, host: str, path: str, left: int) -> Located:
    if upstream.startswith("unix:"):
        return _beyond(upstream, 0, host, path, left)
    why = "its address is not understood"
    if match := UPSTREAM.fullmatch(upstream):
        for address in _addresses(match["host"]):
            found = _beyond(address, int(match["port"]), host, path, left)
            if found.server is not None or not _is_absent(found):
                return found
            why = found.unknown[0].why
        if not list(_addresses(match["host"])):
            why = f"{match['host']} is a name that /etc/hosts does not have; none is looked up"
    return Located(None, unknown=(Unknown(what=f"server at {upstream}", why=why, remedy=REMEDY),))


def _is_absent(found: Located) -> bool:
    """Whether nothing was found at all: a name's next address may lead somewhere."""
    return not found.through and found.site is None


def _addresses(name: str) -> Iterator[str]:
    """The addresses of an upstream, a name's by /etc/hosts alone, as an URL has them."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        yield from hosts(text(Path("/etc/hosts")), name)
    else:
        yield name


def hosts(table: str, name: str) -> list[str]:
    r"""A name's addresses in a text like /etc/hosts (hosts(5)), IPv4 first.

    >>> hosts("::1 localhost\n127.0.0.1 localhost # ours\n", "LOCALHOST")
    ['127.0.0.1', '[::1]']
    """
    found = []
    for line in table.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if name.lower() in (word.lower() for word in names):
            found.append(address.partition("%")[0])
    valid = []
    for address in dict.fromkeys(found):
        try:
            valid.append(ipaddress.ip_address(address))
        except ValueError:
            continue
    valid.sort(key=lambda address: address.version)
    return [f"[{address}]" if address.version == 6 else str(address) for address in valid]


def _holder(
    address: str, port: int, host: str, path: str
) -> tuple[Server | None, Sequence[Unknown]]:
    """Who listens there; a proxy of another user's by what its command line leads to.

    Whose processes hold a socket only its user may see. Of a proxy its configuration tells
    where it listens, and the kernel which user did.
    """
    if port == 0:
        server, unknown = servers.server_at_socket(address.removeprefix("unix:"))
        owners = _socket_owner(address.removeprefix("unix:"))
    else:
        server, unknown = servers.server_at(address.strip("[]"), port)
        reached = sockets.accepting(
            sockets.listening(), ipaddress.ip_address(address.strip("[]")), port
        )
        owners = {listener.uid for listener in reached}
    if server is not None or not owners:
        return server, unknown
    fitting = [
        proxy
        for proxy in _proxies(owners)
        if find_site(proxy, address.strip("[]"), port, host, path)[0] is not None
    ]
    if len(fitting) != 1:
        return None, unknown
    proxy = fitting[0]
    why = f"no process that uid {os.geteuid()} may read holds the socket; its configuration fits"
    place = address if port == 0 else f"{address}:{port}"
    what = f"whether pid {proxy.pid} ({proxy.kind}) listens at {place}"
    return proxy, [Unknown(what=what, why=why, remedy=processes.denied()[1])]


def _socket_owner(path: str) -> set[int]:
    try:
        return {Path(path).stat().st_uid}
    except (OSError, ValueError):
        return set()


def _proxies(owners: set[int]) -> list[Server]:
    """The masters of nginx and Caddy that run as one of these users."""
    table = processes.table()
    found = []
    for row in table.values():
        parent = table.get(row.parent)
        if row.name not in servers.PROXIES or row.uid not in owners:
            continue
        if parent is None or parent.name != row.name:
            workers = [one for one in processes.children(table, row.pid) if one.name == row.name]
            found.append(plain(row.name, row, workers or [row]).server)
    return found
