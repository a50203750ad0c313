"""How Caddy spreads requests over several hosts, and what it does when one of them fails.

Only where advisor.yml names more than one of `hosts`. Times are whole seconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.intent import UrlPath
from advisor.rules.proxies import Seconds, caddy_rule, several
from advisor.rules.registry import Choice, Seen

BALANCING = "caddy: reverse_proxy, load balancing"
ACTIVE = "caddy: reverse_proxy, active health checks"
PASSIVE = "caddy: reverse_proxy, passive health checks"

Few = Annotated[int, Field(ge=0, le=100)] | None


@caddy_rule(
    "caddy.lb_policy",
    wants=("hosts",),
    accepts=Literal["least_conn", "random", "round_robin", "ip_hash", "first"] | None,
    default="random",
    source=f"{BALANCING}, lb_policy",
)
def lb_policy(s: Seen) -> Choice | None:
    """The host with the fewest requests in flight: a slow one gets fewer, unlike by chance."""
    if not (hosts := several(s)):
        return None
    return Choice(
        "least_conn",
        f"The least busy of {hosts} hosts gets the next request, so a slow one gets fewer.",
        inputs={"hosts": hosts},
    )


@caddy_rule(
    "caddy.lb_try_duration",
    needs=("caddy.dial_timeout",),
    wants=("hosts",),
    unit="s",
    accepts=Seconds,
    source=f"{BALANCING}, lb_try_duration (5 s beside a dial timeout of 3 s)",
)
def lb_try_duration(s: Seen) -> Choice | None:
    """Long enough for one connection that does not come, and another host's."""
    if not several(s):
        return None
    dial = s["caddy.dial_timeout"]
    return Choice(
        min(86400, dial + 2),
        f"One connection may fail ({dial} s), then another host is asked.",
        binding="caddy.dial_timeout",
    )


@caddy_rule(
    "caddy.lb_retries",
    wants=("hosts", "can.caddy.lb_retries"),
    accepts=Few,
    default=0,
    source=f"{BALANCING}, lb_retries (2.6), lb_retry_match: by itself GET alone",
)
def lb_retries(s: Seen) -> Choice | None:
    """One: a request that fails everywhere must not visit every host.

    What was sent is sent again only for a GET; a connection that failed may always be repeated.
    """
    if not (hosts := several(s)):
        return None
    if not s["can.caddy.lb_retries"]:
        return Choice(
            None,
            "It needs Caddy 2.6, which this one is not known to be; lb_try_duration ends retries.",
            confidence="medium",
            inputs={"hosts": hosts},
        )
    return Choice(
        1,
        f"One more of {hosts} hosts is asked; of what was sent, only a GET is repeated.",
        inputs={"hosts": hosts},
    )


@caddy_rule(
    "caddy.max_fails",
    wants=("hosts",),
    accepts=Annotated[int, Field(ge=1, le=100)] | None,
    default=1,
    source=f"{PASSIVE}, max_fails",
)
def max_fails(s: Seen) -> Choice | None:
    """Three: with Caddy's own one, a single slow route takes a healthy host out."""
    if not (hosts := several(s)):
        return None
    return Choice(
        3,
        "Three failures, and a host is left out for a while; one may be a single slow route.",
        inputs={"hosts": hosts},
    )


@caddy_rule(
    "caddy.fail_duration",
    wants=("hosts",),
    unit="s",
    accepts=Seconds,
    source=f"{PASSIVE}, fail_duration (by itself none are remembered)",
)
def fail_duration(s: Seen) -> Choice | None:
    """10 s: for so long a failure is remembered, without which no host is ever left out."""
    if not (hosts := several(s)):
        return None
    return Choice(
        10, "A failure is remembered for 10 s; by itself Caddy forgets it.", inputs={"hosts": hosts}
    )


@caddy_rule(
    "caddy.health_uri",
    needs=("app.health",),
    wants=("hosts",),
    accepts=UrlPath | None,
    source=f"{ACTIVE}, health_uri; advisor.yml, app.health",
)
def health_uri(s: Seen) -> Choice | None:
    """The app's health route, asked of each host: one that is ill is left out before it fails.

    Caddy asks with the host's address as Host, which an app that checks its host names refuses:
    `health_headers` has to carry the domain.
    """
    if not (hosts := several(s)):
        return None
    return Choice(
        s["app.health"],
        f"Each of {hosts} hosts is asked, and left out while it is ill.",
        inputs={"hosts": hosts, "app.health": s["app.health"]},
    )


@caddy_rule(
    "caddy.health_interval",
    needs=("caddy.health_uri",),
    unit="s",
    accepts=Seconds,
    default=30,
    source=f"{ACTIVE}, health_interval",
)
def health_interval(_: Seen) -> Choice:
    """10 s instead of 30: a host that is being stopped is noticed while it drains."""
    return Choice(10, "An ill host is noticed after 10 s, not after 30.", inputs={})


@caddy_rule(
    "caddy.health_timeout",
    needs=("caddy.health_uri",),
    unit="s",
    accepts=Seconds,
    default=5,
    source=f"{ACTIVE}, health_timeout",
)
def health_timeout(_: Seen) -> Choice:
    """Caddy's 5 s: a busy host is slow, and leaving it out would make the others slower."""
    return Choice(5, "Caddy's own: a busy host is slow, and not ill.", inputs={})
