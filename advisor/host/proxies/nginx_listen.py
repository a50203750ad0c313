"""Which of nginx's server blocks takes a request: its `listen` and its `server_name`. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.host.proxies.nginx_directive import Directive

LISTEN = re.compile(
    r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|\*|[^\[\]:]*[^\[\]:\d-][^\[\]:]*|\d+(?:\.\d+){3}):?)?"
    r"(?P<first>\d{1,5})?(?:-(?P<last>\d{1,5}))?"
)
ANY = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - compared, never bound
SYSTEM_NAMES = {"localhost": "127.0.0.1", "*": ANY[4]}


@dataclass(frozen=True)
class Place:
    """An address and port, or a unix socket (`host` is `unix:/path`, port 0)."""

    host: str
    port: int

    def __str__(self) -> str:
        return self.host if self.port == 0 else f"{bracketed(self.host)}:{self.port}"

    @classmethod
    def loopback(cls, server: Directive) -> Iterator[Place]:
        """Where a server block is reached on loopback without TLS."""
        for listen in listens(server):
            if listen.host in {*ANY.values(), "127.0.0.1", "::1"} and not listen.tls:
                host = {ANY[4]: "127.0.0.1", ANY[6]: "::1"}.get(listen.host, listen.host)
                yield cls(host, listen.first)


@dataclass(frozen=True)
class Listen:
    """One `listen`: a range of ports on an address, or a unix socket with port 0."""

    host: str
    first: int
    last: int
    is_default: bool = False
    tls: bool = False
    both: bool = False  # an IPv6 wildcard that takes IPv4 too

    def takes(self, place: Place) -> int:
        """How exactly it takes connections to the place: 2 its address, 1 any address, 0 not."""
        if not self.first <= place.port <= self.last:
            return 0
        if self.host == place.host:
            return 2
        if place.host.startswith("unix:") or self.host.startswith("unix:"):
            return 0
        version = 6 if ":" in place.host else 4
        return int(self.host == ANY[version] or (version == 4 and self.host == "::" and self.both))


def bracketed(host: str) -> str:
    """An IPv6 address as URLs have it."""
    return f"[{host}]" if ":" in host else host


def listens(server: Directive) -> list[Listen]:
    """A server block's `listen` directives; nginx's own default where it has none."""
    given = [entry.args for entry in server.all("listen") if entry.args]
    return [listen for args in given or [("80",)] if (listen := parse_listen(args)) is not None]


def parse_listen(args: Sequence[str]) -> Listen | None:
    """One `listen`; None where it is not understood.

    >>> parse_listen(["[::]:443", "ssl", "ipv6only=off"])
    Listen(host='::', first=443, last=443, is_default=False, tls=True, both=True)
    >>> parse_listen(["8000-8010"]).last
    8010
    """
    text, options = args[0], args[1:]
    flags = {
        "is_default": "default_server" in options or "default" in options,
        "tls": "ssl" in options,
        "both": "ipv6only=off" in options,
    }
    if text.startswith("unix:"):
        return Listen(text, 0, 0, **flags)
    match = LISTEN.fullmatch(text)
    if match is None:
        return None
    host = address(match["host"] or "*")
    first = int(match["first"] or 80)
    return Listen(host, first, int(match["last"] or first), **flags)


def address(host: str) -> str:
    """A host as an address where it is one, in its shortest spelling."""
    host = SYSTEM_NAMES.get(host.lower(), host).strip("[]")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def listening(servers: Sequence[Directive], place: Place) -> list[tuple[Directive, bool]]:
    """The server blocks that share the socket a connection reaches, and which is its default."""
    ranked = [
        (listen.takes(place), server, listen.is_default)
        for server in servers
        for listen in listens(server)
    ]
    best = max((rank for rank, _, _ in ranked), default=0)
    return [(server, default) for rank, server, default in ranked if best and rank == best]


def named(
    servers: Sequence[tuple[Directive, bool]], host: str
) -> tuple[Directive, tuple[str, ...]]:
    """The one whose `server_name` fits best, and why another might.

    Exact, the longest with a leading `*`, the longest with a trailing one, the first regular
    expression, else the socket's default, else the first (nginx, "Server names").
    """
    host = host.lower().rstrip(".")
    names = [
        (name.lower() if not name.startswith("~") else name, server)
        for server, _ in servers
        for entry in server.all("server_name")
        for name in entry.args
    ]
    for fits in (_exact, _leading, _trailing):
        fitting = [(len(name), server) for name, server in names if fits(name, host)]
        if fitting:
            return max(fitting, key=lambda pair: pair[0])[1], ()
    unsure: list[str] = []
    for name, server in names:
        if name.startswith("~"):
            verdict = matches(name[1:], host, any_case=True)
            if verdict:
                return server, tuple(unsure)
            if verdict is None:
                unsure.append(f"server_name {name} is not understood")
    default = next((server for server, is_default in servers if is_default), servers[0][0])
    return default, tuple(unsure)


def _exact(name: str, host: str) -> bool:
    return host in {name, name.removeprefix(".")}


def _leading(name: str, host: str) -> bool:
    return name.startswith(("*.", ".")) and host.endswith(name.lstrip("*"))


def _trailing(name: str, host: str) -> bool:
    return name.endswith(".*") and host.startswith(name[:-1])


def matches(pattern: str, text: str, *, any_case: bool) -> bool | None:
    """Whether a regular expression of PCRE's is found in the text; None where it is not understood.

    Python's own are close enough, named groups apart.
    """
    translated = re.sub(r"\(\?<(?![=!])", "(?P<", pattern)
    try:
        found = re.search(translated, text, re.IGNORECASE if any_case else 0)
    except (re.error, RecursionError, OverflowError):
        return None
    return found is not None
