"""What `caddy adapt` lets through: where Caddy would listen, send requests, read and write. Pure.

A Caddyfile that parses may still say what nobody meant: an unknown placeholder is empty text, an
unknown upstream is a 502, a site that is not imported is not served. So what Caddy makes of the
files, as JSON, is compared with what was asked for.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

# Those of Caddy's placeholders that the templates use, as `caddy adapt` writes them out.
PLACEHOLDERS = {
    "http.request.header.Content-Length",
    "http.request.host",
    "http.request.remote.host",
    "http.request.uri",
    "http.request.uuid",
    "http.vars.client_ip",
}
# Caddy's documentation: global options, admin.
ADMIN = "localhost:2019"
PORTS = {"http": 80, "https": 443}

_PLACEHOLDER = re.compile(r"\{([A-Za-z][\w.-]*)\}")
_PORT = re.compile(r":(\d+)$")


@dataclass(frozen=True)
class Expected:
    """What the files are to amount to.

    `addresses` are the sites', `upstreams` where requests may go, `folders` what is served from
    disk, `trusted` whose word on the client is believed.
    """

    addresses: frozenset[str]
    upstreams: frozenset[str]
    folders: frozenset[str]
    trusted: frozenset[str]


@dataclass(frozen=True)
class Problem:
    """What is wrong, and the text in the files that says so, where one can be named."""

    what: str
    token: str | None = None


def problems(config: Json, expected: Expected) -> list[Problem]:
    """Everything in Caddy's JSON that was not asked for, and what was and is not there."""
    return [
        *_admin(config),
        *_listeners(config, expected),
        *_proxies(config, expected),
        *_files(config, expected),
        *_placeholders(config),
    ]


def _admin(config: Json) -> Iterator[Problem]:
    listen = config.get("admin", {}).get("listen", ADMIN)
    host = listen.rpartition(":")[0].strip("[]")
    if not (listen.startswith("unix/") or host == "localhost" or _is_loopback(host)):
        yield Problem(f"the admin API listens on {listen}, which others may reach", listen)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listeners(config: Json, expected: Expected) -> Iterator[Problem]:
    """Names and ports of the servers against those of the sites' addresses."""
    wanted = {_split(address) for address in expected.addresses}
    found = {
        (name, port)
        for server in config.get("apps", {}).get("http", {}).get("servers", {}).values()
        for port in _ports(server)
        for name in _names(server)
    }
    for name, port in sorted(wanted - found):
        yield Problem(f"nothing is served for {name or 'any name'} on port {port}")
    for name, port in sorted(found - wanted):
        what = f"{name or 'any name'} on port {port} is served, which nobody asked for"
        yield Problem(what, name or f":{port}")


def _split(address: str) -> tuple[str, int]:
    parts = urlsplit(address)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def _ports(server: Json) -> set[int]:
    matches = (_PORT.search(listen) for listen in server.get("listen", []))
    return {int(match[1]) for match in matches if match}


def _names(server: Json) -> set[str]:
    """The hosts of a server's outermost routes; "" for a route that takes any."""
    return {
        host.lower()
        for route in server.get("routes", [])
        for matcher in route.get("match") or [{}]
        for host in matcher.get("host", [""])
    }


def _proxies(config: Json, expected: Expected) -> Iterator[Problem]:
    proxies = [found for found in _objects(config) if found.get("handler") == "reverse_proxy"]
    if not proxies:
        yield Problem("no request is sent to the app")
    sent = [{found.get("dial", "") for found in each.get("upstreams", [])} for each in proxies]
    for dial in sorted(set().union(*sent) - expected.upstreams):
        yield Problem(f"requests are sent to {dial}, where nothing of this app listens", dial)
    for dial in sorted({dial for dials in sent for dial in expected.upstreams - dials}):
        yield Problem(f"some requests cannot be sent to {dial}")
    for network in sorted(_trusted(config) - expected.trusted):
        yield Problem(f"{network} is believed to be a proxy, which nobody said", network)


def _trusted(config: Json) -> set[str]:
    """Of the servers (`ranges`), and of each reverse_proxy."""
    return {
        network
        for found in _objects(config)
        for key in ("trusted_proxies", "ranges")
        if isinstance(found.get(key), list)
        for network in found[key]
    }


def _files(config: Json, expected: Expected) -> Iterator[Problem]:
    for found in _objects(config):
        if found.get("handler") == "file_server" and "browse" in found:
            yield Problem("folders are listed to visitors", "browse")
        root = found.get("root")
        if isinstance(root, str) and root not in expected.folders:
            yield Problem(f"files are served from {root}, which nobody asked for", root)


def _placeholders(config: Json) -> Iterator[Problem]:
    for text in dict.fromkeys(_strings(config.get("apps", {}).get("http", {}))):
        for name in _PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                yield Problem(f"{{{name}}} is none of the placeholders that belong here", name)


def _objects(value: object) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _objects(each)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
