"""What nginx grants its clients: time, sizes, and how much of each. Times are whole seconds."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from advisor.intent import Allowed, Size
from advisor.rules.proxies import (
    MIB,
    Bytes,
    Connections,
    Count,
    Networks,
    Seconds,
    burst,
    nginx_rule,
    routes_of,
)
from advisor.rules.registry import Choice, Seen

CORE = "ngx_http_core_module"
REQ = "ngx_http_limit_req_module"
CONN = "ngx_http_limit_conn_module"
REAL_IP = "ngx_http_realip_module"
# A MiB holds about 8,000 states of 128 bytes, an IPv6 client's on a 64-bit machine.
CLIENTS_A_MIB = 8000
ZONE_MIB = 10
# Open pages of one address, each of which may hold every stream and WebSocket.
PAGES = 10
MOST_RATE = 1_000_000
RATE = "limits.rate_per_client_rps"

Rate = (
    Annotated[str, Allowed(r"[1-9]\d{0,6}r/[sm]", most=10, says="a rate such as 20r/s or 30r/m")]
    | None
)


@nginx_rule(
    "nginx.client_header_timeout",
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {CORE}, client_header_timeout",
)
def client_header_timeout(_: Seen) -> Choice:
    """15 s: a request's head is a packet or two, and who sends it byte by byte means harm."""
    return Choice(15, "A request's head is a packet or two; nginx's own 60 s help only attacks.")


@nginx_rule(
    "nginx.client_body_timeout",
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {CORE}, client_body_timeout",
)
def client_body_timeout(_: Seen) -> Choice:
    """30 s between two reads, so that an upload over a bad line goes on after a pause."""
    return Choice(30, "The longest pause in an upload, not its whole length.")


@nginx_rule(
    "nginx.send_timeout",
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {CORE}, send_timeout",
)
def send_timeout(_: Seen) -> Choice:
    """30 s between two writes: a client that takes nothing for so long is gone."""
    return Choice(30, "The longest pause in a download, not its whole length.")


@nginx_rule(
    "nginx.keepalive_timeout",
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=86400)] | None,
    default=75,
    source=f"nginx: {CORE}, keepalive_timeout; AWS: load balancers close after 60 s",
)
def keepalive_timeout(_: Seen) -> Choice:
    """Nginx's 75 s: a load balancer in front, which reuses connections, gives up before."""
    return Choice(75, "nginx's own; longer than load balancers in front keep theirs (60 s).")


@nginx_rule(
    "nginx.client_max_body_size",
    wants=("limits.request_body",),
    unit="bytes",
    accepts=Size | None,
    default=MIB,
    source=f"nginx: {CORE}, client_max_body_size; advisor.yml",
)
def client_max_body_size(s: Seen) -> Choice | None:
    """What advisor.yml allows; without a word nginx's 1 MiB stays."""
    if s["limits.request_body"] is None:
        return None
    return Choice(s["limits.request_body"], "limits.request_body: larger requests are a 413.")


@nginx_rule(
    "nginx.set_real_ip_from",
    accepts=Networks,
    source=f"nginx: {REAL_IP}, set_real_ip_from",
)
def set_real_ip_from(_: Seen) -> Choice:
    """Nobody: whoever is believed here can call itself any address.

    Pin the networks of a CDN or load balancer in front.
    """
    return Choice(None, "No proxy in front is known: a client's address is its connection's.")


@nginx_rule(
    "nginx.real_ip_header",
    needs=("nginx.set_real_ip_from",),
    accepts=Literal["X-Forwarded-For", "X-Real-IP", "CF-Connecting-IP", "proxy_protocol"] | None,
    default="X-Real-IP",
    source=f"nginx: {REAL_IP}, real_ip_header",
)
def real_ip_header(_: Seen) -> Choice:
    """What CDNs and load balancers add the client to."""
    return Choice("X-Forwarded-For", "Where CDNs and load balancers name the client.", inputs={})


@nginx_rule(
    "nginx.real_ip_recursive",
    needs=("nginx.set_real_ip_from", "nginx.real_ip_header"),
    accepts=bool | None,
    default=False,
    source=f"nginx: {REAL_IP}, real_ip_recursive",
)
def real_ip_recursive(s: Seen) -> Choice | None:
    """On for a header that is a list: the last address that is nobody's we trust."""
    if s["nginx.real_ip_header"] != "X-Forwarded-For":
        return None
    return Choice(True, "The last address of the list that is none of the trusted.", inputs={})


@nginx_rule(
    "nginx.limit_req_rate",
    needs=(RATE,),
    accepts=Rate,
    source=f"nginx: {REQ}, limit_req_zone: whole requests a second or a minute",
)
def limit_req_rate(s: Seen) -> Choice:
    """What advisor.yml grants one address, in nginx's words; never less than was granted."""
    rate = min(s[RATE], MOST_RATE)
    a_second = rate > 1000 or float(rate).is_integer()
    value = f"{math.ceil(rate)}r/s" if a_second else f"{math.ceil(rate * 60)}r/m"
    return Choice(value, f"{RATE}: {rate:g} requests a second from one address.", binding=RATE)


@nginx_rule(
    "nginx.limit_req_burst",
    needs=(RATE,),
    accepts=Count,
    default=0,
    source=f"nginx: {REQ}, limit_req, burst",
)
def limit_req_burst(s: Seen) -> Choice:
    """What may come at once: a page asks for many things in its first second."""
    value = burst(s[RATE])
    return Choice(value, f"Two seconds' worth, at least a page's: {value} at once.", binding=RATE)


@nginx_rule(
    "nginx.limit_req_nodelay",
    needs=("nginx.limit_req_burst",),
    accepts=bool | None,
    default=False,
    source=f"nginx: {REQ}, limit_req, nodelay",
)
def limit_req_nodelay(s: Seen) -> Choice:
    """On: a page is not made slow so that a flood is."""
    return Choice(True, f"The {s['nginx.limit_req_burst']} of a burst are served at once.")


@nginx_rule(
    "nginx.limit_req_zone_size",
    needs=(RATE,),
    unit="bytes",
    accepts=Bytes,
    source=f"nginx: {REQ}, limit_req_zone: 8 thousand states of 128 bytes a megabyte",
)
def limit_req_zone_size(_: Seen) -> Choice:
    """10 MiB: 80,000 addresses at a time; when it is full, the oldest makes room."""
    return Choice(
        ZONE_MIB * MIB,
        f"{CLIENTS_A_MIB * ZONE_MIB:,} addresses at a time, 128 bytes each.",
        inputs={},
    )


@nginx_rule(
    "nginx.limit_req_status",
    needs=(RATE,),
    accepts=Annotated[int, Field(ge=400, le=599)] | None,
    default=503,
    source=f"nginx: {REQ}, limit_req_status (1.3.15); RFC 6585, 429",
)
def limit_req_status(_: Seen) -> Choice:
    """429: the client has to wait, the server is well."""
    return Choice(429, "Too Many Requests; nginx's own 503 looks like an outage.", inputs={})


@nginx_rule(
    "nginx.limit_conn_per_client",
    needs=(RATE,),
    wants=("routes",),
    unit="connections",
    accepts=Connections,
    source=f"nginx: {CONN}, limit_conn: under HTTP/2 each request counts as a connection",
)
def limit_conn_per_client(s: Seen) -> Choice:
    """Requests of one address that are served at a time: a burst, and its open streams."""
    held = len(routes_of(s, "websocket") + routes_of(s, "stream"))
    value = min(65535, burst(s[RATE]) + PAGES * held)
    streams = f", and {PAGES} pages' streams" if held else ""
    return Choice(value, f"A burst of {burst(s[RATE])} at a time{streams}.", binding=RATE)


@nginx_rule(
    "nginx.limit_conn_zone_size",
    needs=("nginx.limit_conn_per_client",),
    unit="bytes",
    accepts=Bytes,
    source=f"nginx: {CONN}, limit_conn_zone: 16 thousand states of 64 bytes a megabyte",
)
def limit_conn_zone_size(_: Seen) -> Choice:
    """10 MiB: 160,000 addresses at a time; when it is full, further ones are refused."""
    return Choice(ZONE_MIB * MIB, "160,000 addresses at a time, 64 bytes each.", inputs={})
