"""Where a probe may go: the guard between a URL and the first packet.

Loopback is the normal target. A private address needs `--remote`, a public one `--public`;
link-local addresses and the clouds' metadata services are refused however they are spelt:
what counts is the address that the name resolves to, once, and that is then connected to.
A unix socket is this host: the URL's host is then only what the Host header says.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket as sockets
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence

if TYPE_CHECKING:
    from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Documented by each: AWS and most others, AWS (all services of an instance), Google, Oracle's
# IPv6, Scaleway, Alibaba, Azure's wire server, Oracle.
METADATA = tuple(
    ipaddress.ip_network(text)
    for text in (
        "169.254.169.254/32",
        "fd00:ec2::/64",
        "fd20:ce::254/128",
        "fd00:c1::a9fe:a9fe/128",
        "fd00:42::42/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
DEFAULT_PORTS = {"http": 80, "https": 443}
# What every server takes (RFC 9110, section 4.1), and what sun_path holds on Linux (unix(7)).
MAX_TARGET = 8000
MAX_SOCKET_PATH = 107
_SECRET = re.compile(r"//.*@", re.DOTALL)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f.:]+(?:%[A-Za-z0-9._%-]+)?\])(?::[0-9]*)?")


@dataclass(frozen=True)
class Endpoint:
    """One route of one server: `host` as the user wrote it, `address` as it was resolved.

    With a unix socket, `socket` and `address` are its path, and nothing was resolved.
    """

    scheme: str
    host: str
    address: str
    port: int
    path: str
    socket: str | None = None

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, as the user wrote it."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def where(self) -> str:
        """What is connected to, for people."""
        return f"unix:{self.socket}" if self.socket else f"{self.address} port {self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this host."""
        return self.socket is not None or ipaddress.ip_address(self.address).is_loopback

    def at(self, path: str) -> Endpoint:
        """Another route of the same server."""
        return replace(self, path=path)


def resolve(
    url: str, *, remote: bool = False, public: bool = False, socket: Path | None = None
) -> Endpoint:
    """The endpoint of `url`, its name resolved once; with `socket`, no name is resolved.

    Raises `InvalidInput` for what is no http URL or no socket, `TooLittleEvidence` for a name
    that does not resolve, `GuardRefused` for an address that may not be loaded.
    """
    scheme, host, port, path = _split(url)
    if socket is not None:
        at = _socket(socket)
        return Endpoint(scheme=scheme, host=host, address=at, port=port, path=path, socket=at)
    addresses = _look_up(url, host, port)
    for address in addresses:
        _guard(url, address, remote=remote, public=public)
    chosen = _first_that_accepts([str(address) for address in addresses], port)
    return Endpoint(scheme=scheme, host=host, address=chosen, port=port, path=path)


def request_target(text: str, *, name: str) -> str:
    """A route's path and query as they are sent; `name` stands for them in the `InvalidInput`."""
    if any(not 0x20 < ord(character) < 0x7F for character in text):
        raise InvalidInput(f"{name}: spaces and non-ASCII characters have to be %-encoded")
    if not text.startswith("/"):
        raise InvalidInput(
            f"{name}: a path begins with /",
            remedy="Name routes of the probed server, such as /items?page=2, without its host.",
        )
    if "#" in text:
        raise InvalidInput(f"{name}: a fragment (#) is not sent to a server")
    if _BAD_PERCENT.search(text):
        raise InvalidInput(f"{name}: a % that is no encoded character is written %25")
    if len(text) > MAX_TARGET:
        raise InvalidInput(f"{name}: longer than {MAX_TARGET} characters")
    return text


def _split(url: str) -> tuple[str, str, int, str]:
    shown = ascii(_SECRET.sub("//...@", url)[:200])
    if any(not 0x20 < ord(character) < 0x7F for character in url):
        raise InvalidInput(f"URL {shown}: spaces and non-ASCII characters have to be %-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput(f"URL {shown}: the host or the port is malformed") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidInput(
            f"URL {shown}: only http:// and https:// can be probed",
            remedy="Write it out, for example http://127.0.0.1:8000/.",
        )
    if not host or port == 0:
        raise InvalidInput(f"URL {shown}: a host and a port above zero are needed")
    if parts.username is not None:
        raise InvalidInput(f"URL for {host}: credentials in a URL are not sent")
    if not _AUTHORITY.fullmatch(parts.netloc) or (":" in host and _literal(host) is None):
        raise InvalidInput(f"URL {shown}: {host!a} is neither a name nor an address")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    return (
        parts.scheme,
        host,
        port or DEFAULT_PORTS[parts.scheme],
        request_target(target, name=f"URL {shown}"),
    )


def _socket(path: Path) -> str:
    """The absolute path of a unix socket; `InvalidInput` for anything else."""
    at = path.absolute()
    try:
        mode = at.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no path"
        raise InvalidInput(
            f"socket {str(path)!a}: {reason}",
            remedy="Is the app up, and may you read the socket's folder?",
        ) from None
    if not stat.S_ISSOCK(mode):
        raise InvalidInput(f"socket {str(path)!a}: no unix socket")
    if len(os.fsencode(at)) > MAX_SOCKET_PATH:
        raise InvalidInput(
            f"socket {str(path)!a}: longer than the {MAX_SOCKET_PATH} bytes that Linux takes",
            remedy="Give it through a shorter symbolic link.",
        )
    return str(at)


def _literal(host: str) -> Address | None:
    """The address that a host spells out, in any way that the C library reads; None for a name.

    A zone is dropped: it only matters to link-local addresses, which are refused.
    """
    try:
        return ipaddress.ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        pass
    try:
        # Decimal, octal, hexadecimal and short forms, with the dot that ends a full name.
        return ipaddress.IPv4Address(sockets.inet_aton(host.removesuffix(".")))
    except OSError:
        return None


def _look_up(url: str, host: str, port: int) -> list[Address]:
    literal = _literal(host)
    if literal is not None:
        return [_plain(literal)]
    try:
        found = sockets.getaddrinfo(host, port, type=sockets.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TooLittleEvidence(f"{url}: the name {host} does not resolve") from None
    texts = (str(entry[4][0]).partition("%")[0] for entry in found)
    return list(dict.fromkeys(_plain(ipaddress.ip_address(text)) for text in texts))


def _plain(address: Address) -> Address:
    """The address as it is connected to: unmapped; 0.0.0.0 and :: mean this host."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    if plain.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if plain.version == 4 else "::1")
    return plain


def _unwrap(address: Address) -> Address:
    """The IPv4 address inside a NAT64, 6to4 or Teredo one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour:
            return address.sixtofour
        if address.teredo:
            return address.teredo[1]
    return address


def _guard(url: str, address: Address, *, remote: bool, public: bool) -> None:
    inner = _unwrap(address)
    if any(each.is_link_local or any(each in net for net in METADATA) for each in (inner, address)):
        raise GuardRefused(f"{url}: {address} is link-local or a cloud's metadata service: refused")
    if address.is_loopback:
        return
    if inner.is_multicast or inner.is_reserved or inner.is_loopback or inner.is_unspecified:
        raise GuardRefused(f"{url}: {address} is no address of one server: refused")
    if inner.is_private or not inner.is_global:
        if not remote:
            raise GuardRefused(
                f"{url}: {address} is a private address, not this host",
                remedy="Probe on the server itself, or add --remote if you may load that host.",
            )
    elif not public:
        raise GuardRefused(
            f"{url}: {address} is a public address",
            remedy="Probe on the server itself, or add --public if you may load that host.",
        )


def _first_that_accepts(addresses: list[str], port: int) -> str:
    """The first address where something listens, else the first: its refusal is told later."""
    for candidate in addresses if len(addresses) > 1 else []:
        try:
            with sockets.create_connection((candidate, port), timeout=2):
                return candidate
        except OSError:
            continue
    return addresses[0]
