"""What a proxy that runs here does with a request, whichever proxy it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.host import processes
from advisor.host.proxies import caddy, caddy_site, nginx, nginx_site
from advisor.host.proxies.nginx_listen import Place, address
from advisor.host.tree import clean

if TYPE_CHECKING:
    from advisor.documents import Server
    from advisor.host.proxies.site import Site


def find_site(
    server: Server, listens: str, port: int, host: str, path: str
) -> tuple[Site | None, list[Unknown]]:
    """What an nginx or Caddy does with a request for `host` and `path` at an address of its own.

    `listens` is the IP address that the request is sent to, or `unix:/path` with port 0; `host`
    is the name in its Host header without a port. None, with the reason, where the configuration
    cannot be read or nothing of it listens there.
    """
    place = Place(address(listens), port)
    if server.kind == "nginx":
        config, unknown = nginx.configuration(server)
        found, unsure = nginx_site.site(config, place, host, path) if config else (None, [])
    else:
        running, unknown = caddy.configuration(server)
        found, unsure = (
            caddy_site.site(
                running,
                place,
                host,
                path,
                folder=server.directory,
                root=processes.filesystem(server.pid),
            )
            if running is not None
            else (None, [])
        )
    what = f"what pid {server.pid} ({server.kind}) does with {host}{path} at {place}"
    remedy = "give the app's own URL, or --pid of its server"
    return found, [
        *unknown,
        *(Unknown(what=clean(what), why=clean(why), remedy=remedy) for why in unsure),
    ]
