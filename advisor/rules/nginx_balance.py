"""How nginx spreads requests over several hosts, and what it does when one of them fails.

Only where advisor.yml names more than one of `hosts`. Times are whole seconds, sizes bytes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.rules.proxies import Bytes, Seconds, nginx_rule, several
from advisor.rules.registry import Choice, Seen

UPSTREAM = "ngx_http_upstream_module"
PROXY = "ngx_http_proxy_module"
ZONE_BYTES = 256 * 1024
# 256 KiB hold 12 servers given by a name with several addresses, 128 given by an address.
BYTES_A_SERVER = ZONE_BYTES // 12
TRIES = 2

Few = Annotated[int, Field(ge=0, le=100)] | None
Failures = (
    list[
        Literal[
            "error",
            "timeout",
            "invalid_header",
            "http_500",
            "http_502",
            "http_503",
            "http_504",
            "http_429",
            "off",
        ]
    ]
    | None
)


@nginx_rule(
    "nginx.upstream_method",
    wants=("hosts",),
    accepts=Literal["least_conn", "ip_hash", "random"] | None,
    source=f"nginx: {UPSTREAM}, least_conn (1.3.1)",
)
def upstream_method(s: Seen) -> Choice | None:
    """The host with the fewest requests in flight: a slow one gets fewer, unlike in turn."""
    if not (hosts := several(s)):
        return None
    return Choice(
        "least_conn",
        f"The least busy of {hosts} hosts gets the next request, so a slow one gets fewer.",
        inputs={"hosts": hosts},
    )


@nginx_rule(
    "nginx.upstream_zone_size",
    wants=("hosts",),
    unit="bytes",
    accepts=Bytes,
    source=f"nginx: {UPSTREAM}, zone (1.9.0); NGINX Plus admin guide, HTTP load balancing",
)
def upstream_zone_size(s: Seen) -> Choice | None:
    """Memory in which nginx's workers share what they know of the hosts: 256 KiB hold twelve.

    Without it each worker counts requests and failures for itself.
    """
    if not (hosts := several(s)):
        return None
    value = max(ZONE_BYTES, -(-hosts * BYTES_A_SERVER // 4096) * 4096)
    return Choice(
        value,
        f"nginx's workers share the counts of {hosts} hosts instead of each having its own.",
        inputs={"hosts": hosts},
    )


@nginx_rule(
    "nginx.upstream_max_fails",
    wants=("hosts",),
    accepts=Few,
    default=1,
    source=f"nginx: {UPSTREAM}, server, max_fails",
)
def upstream_max_fails(s: Seen) -> Choice | None:
    """Three: with nginx's own one, a single slow route takes a healthy host out."""
    if not (hosts := several(s)):
        return None
    return Choice(
        3,
        "Three failures, and a host is left out for a while; one may be a single slow route.",
        inputs={"hosts": hosts},
    )


@nginx_rule(
    "nginx.upstream_fail_timeout",
    wants=("hosts",),
    unit="s",
    accepts=Seconds,
    default=10,
    source=f"nginx: {UPSTREAM}, server, fail_timeout",
)
def upstream_fail_timeout(s: Seen) -> Choice | None:
    """Nginx's 10 s, in which the failures are counted and for which the host is left out."""
    if not (hosts := several(s)):
        return None
    return Choice(
        10, "nginx's own: a host that failed is asked again 10 s later.", inputs={"hosts": hosts}
    )


@nginx_rule(
    "nginx.proxy_next_upstream",
    wants=("hosts",),
    accepts=Failures,
    default=["error", "timeout"],
    source=f"nginx: {PROXY}, proxy_next_upstream (1.9.13: non_idempotent)",
)
def proxy_next_upstream(s: Seen) -> Choice | None:
    """Nginx's own: another host is asked where a connection failed or the answer did not come.

    Only where that repeats nothing: since 1.9.13 nginx asks nobody else for a POST, LOCK or
    PATCH that it has sent. Not on a 5xx: that is an answer, and the app may have done its work.
    """
    if not (hosts := several(s)):
        return None
    return Choice(
        ["error", "timeout"],
        f"Another of {hosts} hosts is asked, but never again for a POST that was sent.",
        inputs={"hosts": hosts},
    )


@nginx_rule(
    "nginx.proxy_next_upstream_tries",
    needs=("nginx.proxy_next_upstream",),
    accepts=Few,
    default=0,
    source=f"nginx: {PROXY}, proxy_next_upstream_tries (1.7.5)",
)
def proxy_next_upstream_tries(s: Seen) -> Choice | None:
    """Two: a request that fails everywhere must not visit every host."""
    if s["nginx.proxy_next_upstream"] == ["off"]:
        return None
    return Choice(TRIES, f"{TRIES} hosts: a request that breaks hosts must not visit them all.")


@nginx_rule(
    "nginx.proxy_next_upstream_timeout",
    needs=("nginx.proxy_next_upstream_tries", "nginx.proxy_connect_timeout"),
    unit="s",
    accepts=Seconds,
    source=f"nginx: {PROXY}, proxy_next_upstream_timeout (1.7.5)",
)
def proxy_next_upstream_timeout(s: Seen) -> Choice:
    """As long as two connections may take: what waited for an answer is not asked again."""
    tries, connect = s["nginx.proxy_next_upstream_tries"], s["nginx.proxy_connect_timeout"]
    value = min(86400, max(1, tries) * connect)
    return Choice(
        value,
        f"{max(1, tries)} x {connect} s to connect; a request that was slow is not repeated.",
        binding="nginx.proxy_connect_timeout",
    )
