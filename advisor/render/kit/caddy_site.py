"""Where a Caddy site listens, what it answers itself, and where it sends the rest. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from advisor.errors import InvalidInput
from advisor.render.place import is_unix, reachable, slashed, stream
from advisor.render.values import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.intent import Tls
    from advisor.render.values import IntentValues

# The only proxy, one of several hosts behind our load balancer, or that load balancer.
Role = Literal["edge", "member", "balancer"]

LOOPBACK, LOOPBACK_PORT = "127.0.0.1", 8080
HTTP_PORT, HTTPS_PORT = "80", "443"


@dataclass(frozen=True)
class Site:
    """The addresses at the head of a site's block, and what goes with them.

    `bind` restricts the listener to an address; `redirect` is the address whose visitors are
    sent to HTTPS.
    """

    addresses: tuple[str, ...]
    bind: str | None = None
    redirect: str | None = None

    @property
    def is_secure(self) -> bool:
        """Whether it is served by TLS."""
        return self.redirect is not None


@dataclass(frozen=True)
class Handle:
    """Requests of some paths that are served otherwise than the rest.

    `static` from `folder`, `cached` for `ttl`, `stream` as they come. `name` is its matcher's.
    """

    kind: Literal["static", "stream", "cached"]
    name: str
    paths: tuple[str, ...]
    folder: str = ""
    ttl: str = ""


def site_of(intent: IntentValues, role: Role) -> Site:
    """The site's addresses: by its name, or, without one, on loopback alone.

    TLS ends where visitors arrive: the hosts behind a load balancer speak HTTP, at the ports
    that `hosts` names. Raises `InvalidInput` where one of those is HTTPS's.
    """
    domain = intent.domain
    if role == "member":
        return Site(tuple(f"http://{domain or ''}:{port}" for port in member_ports(intent)))
    if domain is None:
        return Site((f"http://:{LOOPBACK_PORT}",), bind=LOOPBACK)
    if intent.tls is None:
        return Site((f"http://{domain}",))
    return Site((f"https://{domain}",), redirect=f"http://{domain}")


def member_ports(intent: IntentValues) -> list[str]:
    """Where the load balancer looks for a host's proxy: not where the app itself listens."""
    taken = set() if is_unix(intent) else {port_of(stream(intent))}
    ports = {port_of(host) for host in hosts(intent)} - taken
    return sorted(ports, key=int) or [HTTP_PORT]


def hosts(intent: IntentValues) -> list[str]:
    """The hosts behind the load balancer.

    Raises `InvalidInput` for port 443: Caddy takes it for HTTPS, whoever listens there (its
    documentation: reverse_proxy, the http transport, tls).
    """
    found = intent.hosts or []
    wrong = [host for host in found if port_of(host) == HTTPS_PORT]
    if wrong:
        raise InvalidInput(
            f"{NAME}: hosts: Caddy would speak TLS to {wrong[0]}, where the proxies have none",
            remedy="Name the port where the hosts' proxies listen for HTTP, such as 8000.",
        )
    return found


def port_of(where: str) -> str:
    """The port of `address:port`.

    >>> port_of("[::1]:8000")
    '8000'
    """
    return where.rpartition(":")[2]


def upstreams(intent: IntentValues, role: Role) -> list[str]:
    """Where requests go, as Caddy spells it (its documentation: conventions, addresses)."""
    if role == "balancer":
        return hosts(intent)
    if intent.sockets:
        return [socket.replace(":", "/", 1) for socket in intent.sockets]
    where = stream(intent)
    return [f"unix/{where}" if is_unix(intent) else reachable(where)]


def certificate(tls: Tls | None) -> tuple[str, str] | None:
    """The certificate and key that the operator owns; null where Caddy gets its own."""
    if tls is None or tls.certificate is None or tls.key is None:
        return None
    return tls.certificate, tls.key


def handles(intent: IntentValues, role: Role, cached: Mapping[str, str]) -> list[Handle]:
    """What is served otherwise than the rest, the longest path first, as nginx would choose.

    `cached` is the time by path. A load balancer has no files, and what is behind one keeps no
    answers. Raises `InvalidInput` where a route is a static folder as well.
    """
    folders = {slashed(url): folder for url, folder in (intent.static or {}).items()}
    both = [url for url in intent.routes or {} if slashed(url) in folders]
    if both:
        raise InvalidInput(f"{NAME}: routes: {both[0]} is a folder of static too")
    found = {
        url: Handle("stream", "", below(url))
        for url, said in (intent.routes or {}).items()
        if isinstance(said, str)
    }
    if role != "member":
        for url, ttl in cached.items():
            found[url] = Handle("cached", "", below(url), ttl=ttl)
    if role != "balancer":
        for url, folder in folders.items():
            found[url] = Handle("static", "", below(url), folder=folder)
    ordered = sorted(found, key=lambda url: (-len(url), url))
    return [replace(found[url], name=name) for url, name in matcher_names(ordered).items()]


def below(url: str) -> tuple[str, ...]:
    """Patterns of Caddy's path matcher for a path and what is below it.

    >>> below("/ws"), below("/static/"), below("/")
    (('/ws', '/ws/*'), ('/static/*',), ('/*',))
    """
    return (f"{url}*",) if url.endswith("/") else (url, f"{url}/*")


def matcher_names(urls: Sequence[str]) -> dict[str, str]:
    """A name for each path's matcher, in letters that need no quotes.

    >>> matcher_names(["/api/a", "/.api-a", "/"])
    {'/api/a': 'api_a', '/.api-a': 'api_a_2', '/': 'root'}
    """
    names: dict[str, str] = {}
    for url in urls:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", url).strip("_") or "root"
        name, number = plain, 1
        while name in names.values():
            number += 1
            name = f"{plain}_{number}"
        names[url] = name
    return names
