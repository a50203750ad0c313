"""What a URL leads to: the address, the proxies in front, and the server whose processes count."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.documents import Target, Unknown
from advisor.host import servers
from advisor.host.locate import Located, locate
from advisor.host.proxies.site import AccessLog

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.documents import Server
    from advisor.probe.address import Endpoint


def find(endpoint: Endpoint, pid: int | None) -> Located:
    """Whose processes are measured: those of `pid`, else of the port or socket, a proxy's never.

    `InvalidInput` where there is no such process.
    """
    if not endpoint.is_loopback:
        why = f"{endpoint.address} is another host: only its answers can be seen"
        gap = Unknown(what="the server's processes", why=why, remedy="probe on that host")
        found = Located(None, unknown=(gap,))
    elif endpoint.socket:
        server, unknown = servers.server_at_socket(endpoint.socket)
        found = Located(server, unknown=tuple(unknown))
    else:
        found = locate(endpoint.address, endpoint.port, host=endpoint.host, path=endpoint.path)
    if pid is None:
        return found
    # What could not be told of the port's holder matters no more.
    return replace(found, server=servers.server_of(pid), unknown=())


def target_of(url: str, found: Located, server: Server | None) -> Target:
    """What was measured, as the document has it."""
    return Target(
        url=url,
        pid=server.pid if server else None,
        server=server.kind if server else None,
        worker_class=server.worker_class if server else None,
        workers=len(server.workers) if server else None,
        threads=server.threads if server else None,
        through=list(found.through),
        upstream=found.upstream,
    )


def access_log(found: Located, named: Path | None, log_format: str | None) -> AccessLog | None:
    """The proxy's log of the app's requests: the one named, else the one its configuration has."""
    if named:
        return AccessLog(named, log_format or "")
    logs = found.site.access_logs if found.site else ()
    return logs[0] if logs else None
