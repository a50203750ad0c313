"""The lines of nginx's files that are one setting's: name, words, reason; and their order.

What a setting's directive needs beside its value (a zone's name, a variable) stands in the
templates; its id is listed here all the same, for this is the table of what the files hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.render.kit.since import gate
from advisor.render.values import NAME
from advisor.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.render.quoting import Scalar
    from advisor.render.values import Inputs


@dataclass(frozen=True)
class Said:
    """One directive and the reason above it."""

    name: str
    words: tuple[Scalar, ...]
    why: str


BALANCE = (
    "nginx.upstream_zone_size",
    "nginx.upstream_method",
    "nginx.upstream_max_fails",
    "nginx.upstream_fail_timeout",
)
KEPT = (
    "nginx.upstream_keepalive",
    "nginx.upstream_keepalive_timeout",
    "nginx.upstream_keepalive_requests",
)
PROXY = (
    "nginx.proxy_connect_timeout",
    "nginx.proxy_read_timeout",
    "nginx.proxy_send_timeout",
    "nginx.proxy_buffering",
    "nginx.proxy_request_buffering",
    "nginx.proxy_buffer_size",
    "nginx.proxy_buffers",
)
NEXT = (
    "nginx.proxy_next_upstream",
    "nginx.proxy_next_upstream_tries",
    "nginx.proxy_next_upstream_timeout",
)
ROUTES = (
    "nginx.websocket_read_timeout",
    "nginx.stream_buffering",
    "nginx.stream_read_timeout",
)
CLIENT = (
    "nginx.client_header_timeout",
    "nginx.client_body_timeout",
    "nginx.client_max_body_size",
    "nginx.send_timeout",
    "nginx.keepalive_timeout",
)
REAL_IP = ("nginx.set_real_ip_from", "nginx.real_ip_header", "nginx.real_ip_recursive")
RATE = (
    "nginx.limit_req_rate",
    "nginx.limit_req_zone_size",
    "nginx.limit_req_burst",
    "nginx.limit_req_nodelay",
    "nginx.limit_req_status",
)
CONNECTIONS = ("nginx.limit_conn_per_client", "nginx.limit_conn_zone_size")
GZIP = (
    "nginx.gzip",
    "nginx.gzip_comp_level",
    "nginx.gzip_min_length",
    "nginx.gzip_types",
    "nginx.gzip_vary",
    "nginx.gzip_proxied",
)
BESIDE_GZIP = ("nginx.brotli", "nginx.zstd")
SPOKEN = ("nginx.http2", "nginx.http3", "nginx.http3_reuseport", "nginx.hsts_max_age")
TLS = (
    "nginx.ssl_protocols",
    "nginx.ssl_ciphers",
    "nginx.ssl_ecdh_curve",
    "nginx.ssl_prefer_server_ciphers",
    "nginx.ssl_session_cache_size",
    "nginx.ssl_session_timeout",
    "nginx.ssl_session_tickets",
)
CACHE_PATH = (
    "nginx.microcache_zone_size",
    "nginx.microcache_max_size",
    "nginx.microcache_inactive",
)
CACHE = (
    "nginx.microcache_lock",
    "nginx.microcache_use_stale",
    "nginx.microcache_background_update",
)
CACHED = ("nginx.microcache_valid", "nginx.microcache_key", "nginx.microcache_bypass")
STATIC = ("nginx.static_expires", "nginx.open_file_cache_max", "nginx.open_file_cache_valid")
SETTINGS = (
    *(*BALANCE, *KEPT, *CLIENT, *REAL_IP, *SPOKEN, *TLS, *GZIP, *BESIDE_GZIP, *RATE, *CONNECTIONS),
    *(*PROXY, *NEXT, *CACHE_PATH, *CACHE, *CACHED, *ROUTES, *STATIC),
)

# Where the directive is not the setting's own name.
DIRECTIVES = {
    "nginx.upstream_keepalive": "keepalive",
    "nginx.upstream_keepalive_timeout": "keepalive_timeout",
    "nginx.upstream_keepalive_requests": "keepalive_requests",
    "nginx.websocket_read_timeout": "proxy_read_timeout",
    "nginx.stream_buffering": "proxy_buffering",
    "nginx.stream_read_timeout": "proxy_read_timeout",
    "nginx.microcache_zone_size": "keys_zone",
    "nginx.microcache_max_size": "max_size",
    "nginx.microcache_inactive": "inactive",
    "nginx.microcache_lock": "proxy_cache_lock",
    "nginx.microcache_use_stale": "proxy_cache_use_stale",
    "nginx.microcache_background_update": "proxy_cache_background_update",
    "nginx.static_expires": "expires",
}
GATES = {
    **{
        f"nginx.upstream_{name}": gate(f"nginx.upstream_{name}", name, ": in an upstream it needs")
        for name in ("keepalive_timeout", "keepalive_requests")
    },
    "nginx.microcache_background_update": gate(
        "nginx.cache_background_update", "proxy_cache_background_update"
    ),
}


def said(inputs: Inputs, *ids: str) -> list[Said]:
    """The directives of those settings that have a value; times carry their unit."""
    return [
        Said(DIRECTIVES.get(id_, id_.removeprefix("nginx.")), _words(inputs, id_), inputs.why[id_])
        for id_ in ids
        if inputs.values[id_] is not None
    ]


def _words(inputs: Inputs, id_: str) -> tuple[Scalar, ...]:
    value = inputs.values[id_]
    words = value if isinstance(value, list) else [value]
    return tuple(f"{word}s" if RULES[id_].unit == "s" else word for word in words)


def needed(inputs: Inputs, ids: Iterable[str], beside: str) -> None:
    """Raise `InvalidInput` where a setting that nginx has no default for is missing."""
    for id_ in ids:
        if inputs.values[id_] is None:
            raise InvalidInput(
                f"{NAME}: {id_} has no value, and {beside} needs it",
                remedy="Give it one, or run advisor recommend again.",
            )


def lacks(inputs: Inputs, *modules: str) -> bool:
    """Whether the target's nginx is known to be built without each of these modules."""
    found = inputs.modules.get("nginx", frozenset())
    return bool(found) and not found & set(modules)
