"""What nginx keeps: answers for a second, and files. Times are whole seconds, sizes bytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from advisor.documents import Alternative
from advisor.intent import Allowed
from advisor.quantities import size
from advisor.rules.proxies import MIB, Bytes, Count, Seconds, largest, microcached, nginx_rule
from advisor.rules.registry import Choice, Seen

if TYPE_CHECKING:
    from advisor.documents import HttpFacts

PROXY = "ngx_http_proxy_module"
CORE = "ngx_http_core_module"
# A MiB of a cache's zone holds about 8,000 keys.
KEYS_A_MIB = 8000
KEPT_S = 60
UNMEASURED_BYTES = 32 * 1024
LEAST_BYTES, MOST_BYTES = 64 * MIB, 1024 * MIB
ROUTE = r"/[A-Za-z0-9._~@+/-]* [1-9]\d{0,3}s"
STATIC_S = 3600
YEAR_S = 31536000

Valid = list[Annotated[str, Allowed(ROUTE, most=1030, says="a path and time: /search 1s")]] | None
Variables = (
    list[
        Annotated[
            str, Allowed(r"\$(?:http|cookie|arg)_[a-z0-9_]+", most=60, says="a variable of nginx")
        ]
    ]
    | None
)
Key = (
    Annotated[str, Allowed(r"(?:\$[a-z_]+)+", most=200, says="variables of nginx, nothing between")]
    | None
)
Stale = (
    list[
        Literal[
            "error",
            "timeout",
            "updating",
            "invalid_header",
            "http_500",
            "http_502",
            "http_503",
            "http_504",
            "off",
        ]
    ]
    | None
)
VALID = "nginx.microcache_valid"


@nginx_rule(
    VALID,
    wants=("routes", "http"),
    accepts=Valid,
    source=f"nginx: {PROXY}, proxy_cache_valid; advisor.yml",
)
def microcache_valid(s: Seen) -> Choice | None:
    """The routes that advisor.yml names, each with its time.

    Where a measured answer may not be kept, nginx keeps none (a cookie, a header), or shows an
    old one for that long: advisor.yml decides, and the reason says what was seen.
    """
    routes = microcached(s)
    if not routes:
        return None
    doubts = [fact for fact in s["http"] or () if fact.path in routes and not fact.microcache.value]
    value = [f"{path} {seconds}s" for path, seconds in routes.items()]
    return Choice(
        value,
        f"One answer serves everybody for as long as advisor.yml says{_seen(doubts)}.",
        confidence="low" if doubts else "high",
        inputs={f"routes {path}": seconds for path, seconds in routes.items()},
    )


def _seen(doubts: list[HttpFacts]) -> str:
    if not doubts:
        return ""
    return "; but as measured " + "; ".join(
        f"{fact.path}: {fact.microcache.why}" for fact in doubts[:2]
    )


@nginx_rule(
    "nginx.microcache_key",
    needs=(VALID,),
    accepts=Key,
    default="$scheme$proxy_host$request_uri",
    source=f"nginx: {PROXY}, proxy_cache_key",
)
def microcache_key(_: Seen) -> Choice:
    """With the host that was asked for: nginx's own key has the upstream's name instead.

    Under a domain such as *.shop.example one customer's page would be another's.
    """
    return Choice("$scheme$host$request_uri", "Each host name has its own copies.", inputs={})


@nginx_rule(
    "nginx.microcache_bypass",
    needs=(VALID,),
    accepts=Variables,
    source=f"nginx: {PROXY}, proxy_cache_bypass, proxy_no_cache",
)
def microcache_bypass(_: Seen) -> Choice:
    """A request with a cookie or credentials goes past the cache, and its answer is not kept."""
    return Choice(
        ["$http_cookie", "$http_authorization"],
        "What somebody is signed in for is never shown to another.",
        inputs={},
    )


@nginx_rule(
    "nginx.microcache_inactive",
    needs=(VALID,),
    unit="s",
    accepts=Seconds,
    default=600,
    source=f"nginx: {PROXY}, proxy_cache_path, inactive",
)
def microcache_inactive(s: Seen) -> Choice:
    """A minute, or ten times the longest: an old copy is still there while a new one comes."""
    most = max(int(entry.rpartition(" ")[2].removesuffix("s")) for entry in s[VALID])
    value = min(86400, max(KEPT_S, 10 * most))
    return Choice(
        value,
        f"What nobody asks for is dropped after {value} s.",
        inputs={"longest_valid_s": most},
    )


@nginx_rule(
    "nginx.microcache_zone_size",
    needs=(VALID, "nginx.microcache_inactive"),
    wants=("targets.rate_rps",),
    unit="bytes",
    accepts=Bytes,
    source=f"nginx: {PROXY}, proxy_cache_path, keys_zone: 8 thousand keys a megabyte",
)
def microcache_zone_size(s: Seen) -> Choice:
    """Room for a key of every request within the time that keys are kept; 10 MiB unasked."""
    rate = s["targets.rate_rps"]
    if rate is None:
        return Choice(10 * MIB, f"{10 * KEYS_A_MIB:,} keys; no rate is known.", confidence="medium")
    keys = math.ceil(min(rate, 1e6) * s["nginx.microcache_inactive"])
    mib = max(1, min(1024, -(-keys // KEYS_A_MIB)))
    return Choice(
        mib * MIB,
        f"{keys:,} keys at most: {rate:g} requests/s for {s['nginx.microcache_inactive']} s.",
        binding="targets.rate_rps",
    )


@nginx_rule(
    "nginx.microcache_max_size",
    needs=(VALID, "nginx.microcache_zone_size"),
    wants=("http", "routes"),
    unit="bytes",
    accepts=Bytes,
    source=f"nginx: {PROXY}, proxy_cache_path, max_size",
)
def microcache_max_size(s: Seen) -> Choice:
    """As many answers as there are keys, within 64 MiB and 1 GiB; then the oldest go."""
    measured = largest(s["http"], microcached(s))
    each = UNMEASURED_BYTES if measured is None else measured
    keys = s["nginx.microcache_zone_size"] * KEYS_A_MIB // MIB
    value = max(LEAST_BYTES, min(MOST_BYTES, -(-keys * each // MIB) * MIB))
    how = "as measured" if measured is not None else "assumed"
    return Choice(
        value,
        f"{keys:,} answers of {size(each)} ({how}), within {size(LEAST_BYTES)} and "
        f"{size(MOST_BYTES)}.",
        confidence="high" if measured is not None else "medium",
        inputs={"keys": keys, "bytes": each},
    )


@nginx_rule(
    "nginx.microcache_lock",
    needs=(VALID,),
    accepts=bool | None,
    default=False,
    source=f"nginx: {PROXY}, proxy_cache_lock (1.1.12)",
)
def microcache_lock(_: Seen) -> Choice:
    """On: of many requests for what is not there, one asks the app."""
    return Choice(True, "Of many requests for a new copy, one asks the app.", inputs={})


@nginx_rule(
    "nginx.microcache_use_stale",
    needs=(VALID,),
    accepts=Stale,
    default=["off"],
    source=f"nginx: {PROXY}, proxy_cache_use_stale",
)
def microcache_use_stale(_: Seen) -> Choice:
    """While a new copy is made, and not on errors: an outage should be seen."""
    return Choice(["updating"], "Nobody waits while a new copy is made.", inputs={})


@nginx_rule(
    "nginx.microcache_background_update",
    needs=(VALID,),
    wants=("can.nginx.cache_background_update",),
    accepts=bool | None,
    default=False,
    source=f"nginx: {PROXY}, proxy_cache_background_update (1.11.10)",
)
def microcache_background_update(s: Seen) -> Choice | None:
    """On where this nginx can: not even the one who asked first waits for the new copy."""
    if not s["can.nginx.cache_background_update"]:
        return None
    return Choice(True, "Not even the first to ask waits for the new copy.", inputs={})


@nginx_rule(
    "nginx.static_expires",
    wants=("static",),
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=YEAR_S)] | None,
    source="nginx: ngx_http_headers_module, expires; RFC 9111",
)
def static_expires(s: Seen) -> Choice | None:
    """An hour, then a 304: names are not known to carry a digest of what is in the file."""
    if not s["static"]:
        return None
    return Choice(
        STATIC_S,
        "A changed file is seen after an hour at most; after it a 304 costs little.",
        confidence="medium",
        inputs={"folders": len(s["static"])},
        alternatives=(
            Alternative(value=YEAR_S, why="where each file's name holds a digest of its content"),
        ),
    )


@nginx_rule(
    "nginx.open_file_cache_max",
    wants=("static",),
    accepts=Count,
    source=f"nginx: {CORE}, open_file_cache",
)
def open_file_cache_max(s: Seen) -> Choice | None:
    """A thousand open files a worker, which count among its descriptors."""
    if not s["static"]:
        return None
    return Choice(1000, "Files that are asked for again are open already.", inputs={})


@nginx_rule(
    "nginx.open_file_cache_valid",
    needs=("nginx.open_file_cache_max",),
    unit="s",
    accepts=Seconds,
    default=60,
    source=f"nginx: {CORE}, open_file_cache_valid",
)
def open_file_cache_valid(_: Seen) -> Choice:
    """10 s: a release's new files may be shown that much later, not a minute."""
    return Choice(10, "A release's new files show after 10 s at most, not after 60.", inputs={})
