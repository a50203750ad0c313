"""The settings as Caddyfile options: which setting is which word, and when it applies. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.render.kit.caddy_site import Role
    from advisor.render.values import Inputs

TRUSTED, HTTP3 = "caddy.trusted_proxies", "caddy.http3"
LIMITER, CACHE = "http.handlers.rate_limit", "http.handlers.cache"
# Which of the client's addresses the app is told: that of the connection, the one that Caddy
# finds by its trusted proxies, or the last but one that X-Forwarded-For holds.
Forwarded = Literal["connection", "client_ip", "last"]

# By setting: its word in a Caddyfile, and its unit there.
Words = dict[str, tuple[str, str]]
GRACE: Words = {"caddy.grace_period": ("grace_period", "s")}
TIMEOUTS: Words = {
    "caddy.read_header": ("read_header", "s"),
    "caddy.read_body": ("read_body", "s"),
    "caddy.write": ("write", "s"),
    "caddy.idle": ("idle", "s"),
}
HSTS: Words = {"caddy.hsts_max_age": ("max-age", "")}
BODY: Words = {"caddy.request_body_max": ("max_size", "")}
ENCODE: Words = {"caddy.encode_minimum_length": ("minimum_length", "")}
STATIC: Words = {"caddy.static_cache_control": ("Cache-Control", "")}
LIMIT: Words = {
    "caddy.rate_limit_window": ("window", "s"),
    "caddy.rate_limit_events": ("events", ""),
}
BALANCING: Words = {
    "caddy.lb_policy": ("lb_policy", ""),
    "caddy.lb_retries": ("lb_retries", ""),
    "caddy.lb_try_duration": ("lb_try_duration", "s"),
    "caddy.max_fails": ("max_fails", ""),
    "caddy.fail_duration": ("fail_duration", "s"),
    "caddy.health_uri": ("health_uri", ""),
    "caddy.health_interval": ("health_interval", "s"),
    "caddy.health_timeout": ("health_timeout", "s"),
}
TRANSPORT: Words = {
    "caddy.dial_timeout": ("dial_timeout", "s"),
    "caddy.response_header_timeout": ("response_header_timeout", "s"),
    "caddy.read_timeout": ("read_timeout", "s"),
    "caddy.write_timeout": ("write_timeout", "s"),
    "caddy.upstream_keepalive_idle": ("keepalive", "s"),
    "caddy.upstream_keepalive": ("keepalive_idle_conns_per_host", ""),
}
BUFFERS: Words = {
    "caddy.request_buffers": ("request_buffers", ""),
    "caddy.response_buffers": ("response_buffers", ""),
}
STREAMS: Words = {
    "caddy.stream_flush_interval": ("flush_interval", ""),
    "caddy.stream_close_delay": ("stream_close_delay", "s"),
    "caddy.stream_timeout": ("stream_timeout", "s"),
}


@dataclass(frozen=True)
class Option:
    """A line of a Caddyfile, word by word, and its reason."""

    words: tuple[str | int, ...]
    why: str


def of(inputs: Inputs, table: Mapping[str, tuple[str, str]]) -> list[Option]:
    """The lines of the table's settings that have a value."""
    return [
        Option((word, f"{inputs.values[id_]}{unit}" if unit else inputs.values[id_]), why)
        for id_, (word, unit) in table.items()
        if inputs.values[id_] is not None
        for why in [inputs.why[id_]]
    ]


def tls(inputs: Inputs) -> list[Option]:
    """What of TLS is pinned: Caddy's own versions, suites and curves are Mozilla's.

    `protocols` takes the least and the most. A curve that this Caddy does not know is left out.
    """
    found = []
    if protocols_ := sorted(inputs.values["caddy.tls_protocols"] or []):
        why = inputs.why["caddy.tls_protocols"]
        found.append(Option(("protocols", protocols_[0], protocols_[-1]), why))
    if curves := _curves(inputs):
        found.append(Option(("curves", *curves), inputs.why["caddy.tls_curves"]))
    return found


HYBRID = "x25519mlkem768"


def _curves(inputs: Inputs) -> list[str]:
    curves: list[str] = inputs.values["caddy.tls_curves"] or []
    return [curve for curve in curves if curve != HYBRID or inputs.can("caddy.x25519mlkem768")]


def lacks_hybrid(inputs: Inputs) -> bool:
    """Whether the hybrid curve was asked for, and is not to be had."""
    return HYBRID in (inputs.values["caddy.tls_curves"] or []) and HYBRID not in _curves(inputs)


def protocols(inputs: Inputs) -> list[Option]:
    """HTTP/1.1 and 2 unless HTTP/3 is asked for; Caddy's own (none said) has had it since 2.6.

    An older Caddy, or one of unknown version, may not know the option.
    """
    if inputs.values[HTTP3] or not inputs.can("caddy.protocols"):
        return []
    why = "Without HTTP/3, which needs UDP on port 443 let through."
    return [Option(("protocols", "h1", "h2"), inputs.why.get(HTTP3, why))]


def trusted(inputs: Inputs, role: Role) -> list[str]:
    """The networks of proxies in front whose X-Forwarded-* is believed; nobody's at the edge."""
    return [] if role == "balancer" else inputs.values[TRUSTED] or []


def client_ip(inputs: Inputs, role: Role) -> list[str]:
    """The same, where Caddy can look for the client's address among theirs, safely.

    Without `trusted_proxies_strict` (2.8) it believes the first address of the list, which the
    client may have written.
    """
    return trusted(inputs, role) if inputs.can("caddy.trusted_proxies_strict") else []


def forwarded(inputs: Inputs, role: Role) -> Forwarded:
    """Which address the app is told to be the client's."""
    if not trusted(inputs, role):
        return "connection"
    return "client_ip" if client_ip(inputs, role) else "last"


def has_module(inputs: Inputs, module: str) -> bool:
    """Whether the target's Caddy is known to have a module beside its own."""
    return module in inputs.modules.get("caddy", frozenset())


def limit_key(inputs: Inputs, role: Role) -> Literal["remote_host", "client_ip"] | None:
    """By which address requests are counted; null where they are not.

    Behind a load balancer of ours it is that which counts, and behind a proxy whose clients
    cannot be told apart nobody is refused for what others send.
    """
    wanted = inputs.values["caddy.rate_limit_window"] and inputs.values["caddy.rate_limit_events"]
    if not wanted or role == "member" or not has_module(inputs, LIMITER):
        return None
    keys: dict[Forwarded, Literal["remote_host", "client_ip"]] = {
        "connection": "remote_host",
        "client_ip": "client_ip",
    }
    return keys.get(forwarded(inputs, role))


def cached(inputs: Inputs) -> dict[str, str]:
    """How long an answer of these paths may serve everybody, where Caddy has a cache."""
    said: list[str] = inputs.values["caddy.microcache_ttl"] or []
    if not has_module(inputs, CACHE):
        return {}
    return {path: ttl for path, _, ttl in (each.partition(" ") for each in said)}
