"""What is in front of Caddy: the proxies that it believes, and the protocols it is asked by."""

from __future__ import annotations

from advisor.rules.proxies import Networks, caddy_rule
from advisor.rules.registry import Choice, Seen


@caddy_rule(
    "caddy.trusted_proxies",
    wants=("can.caddy.trusted_proxies_strict",),
    accepts=Networks,
    source="caddy: reverse_proxy, trusted_proxies; servers, trusted_proxies_strict (2.8)",
)
def trusted_proxies(_: Seen) -> Choice:
    """Nobody: whoever is believed here can call itself any address.

    Pin the networks of a CDN or load balancer in front.
    """
    return Choice(None, "No proxy in front is known: a client's address is its connection's.")


@caddy_rule(
    "caddy.http3",
    needs=("tls",),
    wants=("can.caddy.http3",),
    accepts=bool | None,
    default=True,
    source="caddy: global options, servers, protocols (2.6)",
)
def http3(s: Seen) -> Choice:
    """Off unless pinned: browsers that are told of it try UDP, which needs port 443 opened."""
    lacks = ", and this Caddy lacks it" if s["can.caddy.http3"] is False else ""
    return Choice(False, f"It needs UDP on port 443 let through{lacks}.")
