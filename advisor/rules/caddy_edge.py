"""What Caddy grants its clients: time, sizes, TLS, compression, limits and kept answers.

Times are whole seconds, sizes bytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from advisor.documents import Alternative
from advisor.intent import Allowed, Size
from advisor.rules.proxies import (
    BURST_S,
    HSTS_S,
    MOZILLA,
    PAGE_REQUESTS,
    TINY_BYTES,
    Count,
    Seconds,
    caddy_rule,
    compression,
    microcached,
)
from advisor.rules.registry import Choice, Seen

if TYPE_CHECKING:
    from advisor.documents import Value

TIMEOUTS = "caddy: global options, servers, timeouts"
RATE = "limits.rate_per_client_rps"
RATE_LIMIT = "http.handlers.rate_limit"
CACHE = "http.handlers.cache"
BUILDS = {
    RATE_LIMIT: "github.com/mholt/caddy-ratelimit",
    CACHE: "github.com/caddyserver/cache-handler",
}
STATIC = "public, max-age=3600"
DIGESTED = "public, max-age=31536000, immutable"

Curves = list[Literal["x25519mlkem768", "x25519", "secp256r1", "secp384r1", "secp521r1"]] | None
Control = (
    Annotated[
        str,
        Allowed(r"[a-z][a-z0-9=, -]*", most=200, says="Cache-Control such as public, max-age=60"),
    ]
    | None
)
Ttl = (
    list[
        Annotated[
            str,
            Allowed(
                r"/[A-Za-z0-9._~@+/-]* [1-9]\d{0,3}s", most=1030, says="a path and time: /a 1s"
            ),
        ]
    ]
    | None
)
Headers = (
    list[Annotated[str, Allowed(r"[A-Za-z][A-Za-z-]*", most=60, says="a header's name")]] | None
)


@caddy_rule(
    "caddy.read_header",
    unit="s",
    accepts=Seconds,
    source=f"{TIMEOUTS}, read_header",
)
def read_header(_: Seen) -> Choice:
    """15 s: a request's head is a packet or two, and who sends it byte by byte means harm."""
    return Choice(15, "A request's head is a packet or two; waiting longer helps only attacks.")


@caddy_rule(
    "caddy.read_body",
    unit="s",
    accepts=Seconds,
    source=f"{TIMEOUTS}, read_body; caddy#1422",
)
def read_body(_: Seen) -> Choice:
    """None: it bounds a whole request, so it would cut large uploads and not only slow ones."""
    return Choice(None, "It bounds a whole upload, so large ones would be cut, not slow ones.")


@caddy_rule(
    "caddy.write",
    unit="s",
    accepts=Seconds,
    source=f"{TIMEOUTS}, write; caddy#1422",
)
def write(_: Seen) -> Choice:
    """None: it bounds a whole answer, so it would cut downloads and streams."""
    return Choice(None, "It bounds a whole answer, so downloads and streams would be cut.")


@caddy_rule(
    "caddy.idle",
    unit="s",
    accepts=Seconds,
    default=300,
    source=f"{TIMEOUTS}, idle; AWS: load balancers close after 60 s",
)
def idle(_: Seen) -> Choice:
    """75 s: a load balancer in front, which reuses connections, gives up before (60 s)."""
    return Choice(75, "Longer than load balancers in front keep theirs (60 s); Caddy has 300.")


@caddy_rule(
    "caddy.request_body_max",
    wants=("limits.request_body",),
    unit="bytes",
    accepts=Size | None,
    source="caddy: request_body, max_size; advisor.yml",
)
def request_body_max(s: Seen) -> Choice | None:
    """What advisor.yml allows; without a word Caddy sets no limit."""
    if s["limits.request_body"] is None:
        return None
    return Choice(s["limits.request_body"], "limits.request_body: larger requests are a 413.")


@caddy_rule(
    "caddy.encode",
    wants=("http", "static", "target.through"),
    accepts=list[Literal["zstd", "gzip"]] | None,
    source="caddy: encode; as measured (gzip at level 5)",
)
def encode(s: Seen) -> Choice:
    """zstd, then gzip, where they make answers smaller, or where that is not known."""
    found = compression(s)
    return Choice(
        ["zstd", "gzip"] if found.value else None,
        found.why,
        confidence=found.confidence,
        inputs=found.inputs,
    )


@caddy_rule(
    "caddy.encode_minimum_length",
    needs=("caddy.encode",),
    unit="bytes",
    accepts=Annotated[int, Field(gt=0, le=2**30)] | None,
    default=512,
    source="caddy: encode, minimum_length; h5bp: server-configs-nginx, compression",
)
def encode_minimum_length(_: Seen) -> Choice:
    """256 bytes: what fits in one packet either way gains nothing."""
    return Choice(TINY_BYTES, f"Answers below {TINY_BYTES} bytes gain nothing.", inputs={})


@caddy_rule(
    "caddy.static_cache_control",
    wants=("static",),
    accepts=Control,
    source="caddy: header, file_server; RFC 9111",
)
def static_cache_control(s: Seen) -> Choice | None:
    """An hour, then a 304: names are not known to carry a digest of what is in the file."""
    if not s["static"]:
        return None
    return Choice(
        STATIC,
        "A changed file is seen after an hour at most; after it a 304 costs little.",
        confidence="medium",
        inputs={"folders": len(s["static"])},
        alternatives=(
            Alternative(value=DIGESTED, why="where each file's name holds a digest of its content"),
        ),
    )


@caddy_rule(
    "caddy.tls_protocols",
    needs=("tls",),
    accepts=list[Literal["tls1.2", "tls1.3"]] | None,
    source=f"caddy: tls, protocols; {MOZILLA}",
)
def tls_protocols(_: Seen) -> Choice:
    """Caddy's own, which are Mozilla's: TLS 1.2 and 1.3, suites with forward secrecy."""
    return Choice(
        None, "Caddy's own are Mozilla's: TLS 1.2 and 1.3, with forward secrecy.", inputs={}
    )


@caddy_rule(
    "caddy.tls_curves",
    needs=("tls",),
    wants=("can.caddy.x25519mlkem768",),
    accepts=Curves,
    source=f"caddy: tls, curves; Go 1.24, which Caddy 2.10 is built with; {MOZILLA}",
)
def tls_curves(s: Seen) -> Choice:
    """Caddy's own, which follow its version: a list of ours would hold later ones back."""
    able = s["can.caddy.x25519mlkem768"]
    hybrid = {
        True: "they begin with X25519MLKEM768 (2.10)",
        False: "this one is before 2.10, and has no X25519MLKEM768",
        None: "from 2.10 on they begin with X25519MLKEM768",
    }[able]
    return Choice(None, f"Caddy's own follow its version: {hybrid}.")


@caddy_rule(
    "caddy.hsts_max_age",
    needs=("tls",),
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=10 * HSTS_S)] | None,
    source=f"{MOZILLA}: hsts_min_age; RFC 6797; caddy: header",
)
def hsts_max_age(_: Seen) -> Choice:
    """Two years, for this name alone: its subdomains may not have TLS yet."""
    return Choice(HSTS_S, "Two years: browsers come back by HTTPS only, to this name.", inputs={})


@caddy_rule(
    "caddy.rate_limit_window",
    needs=(RATE,),
    wants=("components.caddy.modules",),
    unit="s",
    accepts=Seconds,
    source="mholt/caddy-ratelimit: README, window",
)
def rate_limit_window(s: Seen) -> Choice:
    """Two seconds, or as long as a page's ten requests take at the rate that is granted."""
    value = min(86400, max(BURST_S, math.ceil(PAGE_REQUESTS / max(s[RATE], 1e-6))))
    return _with(s, RATE_LIMIT, value, f"{RATE} is counted over {value} s, so a page may burst.")


@caddy_rule(
    "caddy.rate_limit_events",
    needs=(RATE, "caddy.rate_limit_window"),
    accepts=Count,
    source="mholt/caddy-ratelimit: README, events",
)
def rate_limit_events(s: Seen) -> Choice:
    """What advisor.yml grants one address within the window."""
    window = s["caddy.rate_limit_window"]
    value = max(1, min(1_000_000, int(min(s[RATE], 1e6) * window)))
    return Choice(value, f"{RATE}: {s[RATE]:g} requests a second from one address.", binding=RATE)


@caddy_rule(
    "caddy.microcache_ttl",
    wants=("routes", "components.caddy.modules"),
    accepts=Ttl,
    source="caddyserver/cache-handler: README, ttl; advisor.yml",
)
def microcache_ttl(s: Seen) -> Choice | None:
    """The routes that advisor.yml names, each with its time, where Caddy has the module."""
    routes = microcached(s)
    if not routes:
        return None
    value = [f"{path} {seconds}s" for path, seconds in routes.items()]
    why = "One answer serves everybody for as long as advisor.yml says."
    return _with(s, CACHE, value, why)


@caddy_rule(
    "caddy.microcache_bypass",
    needs=("caddy.microcache_ttl",),
    accepts=Headers,
    source="caddy: request matchers, header; RFC 9111, 3.5",
)
def microcache_bypass(_: Seen) -> Choice:
    """A request with a cookie or credentials does not reach the cache."""
    return Choice(
        ["Cookie", "Authorization"],
        "What somebody is signed in for is never shown to another.",
        inputs={},
    )


def _with(s: Seen, module: str, value: Value, why: str) -> Choice:
    """The value where this Caddy has the module; else none, and how to get it."""
    modules = s["components.caddy.modules"]
    if modules is not None and module in modules:
        return Choice(value, why, inputs={"module": module})
    lacks = "has no" if modules is not None else "is not known to have the"
    return Choice(
        None,
        f"Not applied: this Caddy {lacks} module {module}; "
        f"xcaddy build --with {BUILDS[module]} adds it.",
        confidence="medium",
        inputs={},
    )
