"""Where a probe may go: the guard between a URL and the first packet.

Loopback is the normal target. A private address needs `--remote`, a public one `--public`;
link-local addresses and the clouds' metadata services are refused however they are spelt:
what counts is the address that the name resolves to, once, and that is then connected to.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# AWS (also link-local 169.254.169.254), Alibaba, Azure's wire server, Oracle: documented by each.
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    )
)
NAT64 = ipaddress.ip_network("64:ff9b::/96")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Endpoint:
    """One route of one server: `host` as the user wrote it, `address` as it was resolved."""

    scheme: str
    host: str
    address: str
    port: int
    path: str

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
    def is_loopback(self) -> bool:
        """Whether the server is on this host."""
        return ipaddress.ip_address(self.address).is_loopback


def resolve(url: str, *, remote: bool = False, public: bool = False) -> Endpoint:
    """The endpoint of `url`, its name resolved once.

    Raises `InvalidInput` for what is no http URL, `TooLittleEvidence` for a name that does not
    resolve, `GuardRefused` for an address that may not be loaded.
    """
    scheme, host, port, path = _split(url)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise TooLittleEvidence(f"{url}: the name {host} does not resolve") from None
    addresses = list(dict.fromkeys(_plain(str(entry[4][0])) for entry in found))
    for address in addresses:
        _guard(url, address, remote=remote, public=public)
    chosen = _first_that_accepts([str(address) for address in addresses], port)
    return Endpoint(scheme=scheme, host=host, address=chosen, port=port, path=path)


def _split(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"URL {url!r}: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidInput(
            f"URL {url!r}: only http:// and https:// can be probed",
            remedy="Write it out, for example http://127.0.0.1:8000/.",
        )
    if not host or port == 0:
        raise InvalidInput(f"URL {url!r}: a host and a port above zero are needed")
    if parts.username is not None:
        raise InvalidInput(f"URL for {host}: credentials in a URL are not sent")
    if any(ord(character) <= 0x20 or ord(character) >= 0x7F for character in url):
        raise InvalidInput(f"URL {url!r}: spaces and non-ASCII characters have to be %-encoded")
    path = parts.path or "/"
    return (
        parts.scheme,
        host,
        port or DEFAULT_PORTS[parts.scheme],
        (f"{path}?{parts.query}" if parts.query else path),
    )


def _plain(text: str) -> Address:
    """The address as it is connected to: unmapped; 0.0.0.0 and :: mean this host."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    plain = mapped or address
    if plain.is_unspecified:
        return ipaddress.ip_address("127.0.0.1" if plain.version == 4 else "::1")
    return plain


def _unwrap(address: Address) -> Address:
    """The IPv4 address inside a NAT64 or 6to4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if address.sixtofour:
            return address.sixtofour
    return address


def _guard(url: str, address: Address, *, remote: bool, public: bool) -> None:
    inner = _unwrap(address)
    if inner in METADATA or address in METADATA or inner.is_link_local or address.is_link_local:
        raise GuardRefused(f"{url}: {address} is link-local or a cloud's metadata service: refused")
    if address.is_loopback:
        return
    if inner.is_multicast or inner.is_reserved or inner.is_loopback or inner.is_unspecified:
        raise GuardRefused(f"{url}: {address} is no address of one server: refused")
    if inner.is_private or not inner.is_global:
        if not (remote or public):
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
            with socket.create_connection((candidate, port), timeout=2):
                return candidate
        except OSError:
            continue
    return addresses[0]
