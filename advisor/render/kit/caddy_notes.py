"""What Caddy's files say about themselves: what is left out, and what is the operator's. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit import caddy_options as options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.render.kit.caddy_site import Role
    from advisor.render.values import Inputs

# Settings that are null for want of something; their reasons say of what.
WANTING = {
    "caddy.request_buffers": "request_buffers",
    "caddy.response_buffers": "response_buffers",
    "caddy.stream_close_delay": "stream_close_delay",
    "caddy.rate_limit_window": "rate_limit",
    "caddy.microcache_ttl": "cache",
}
# What the load balancer does for the hosts behind it, and the other way round.
NOT_A_MEMBERS = {"caddy.rate_limit_window", "caddy.microcache_ttl"}
NOT_THE_BALANCERS = {"caddy.request_buffers", "caddy.response_buffers"}


def host_notes(inputs: Inputs, role: Role) -> list[str]:
    """About the Caddyfile."""
    notes = []
    if "monitoring" in inputs.manages and not inputs.can("caddy.server_metrics"):
        notes.append("metrics is left out: it needs Caddy 2.6, and before that they are on anyway.")
    if not options.protocols(inputs) and not inputs.values[options.HTTP3]:
        notes.append(
            "protocols is left out: it needs Caddy 2.6; the target's version is "
            f"{inputs.found('caddy')}. HTTP/3 may be on."
        )
    if options.trusted(inputs, role) and not options.client_ip(inputs, role):
        notes.append(
            "trusted_proxies is left to the app's own site: here it needs Caddy 2.8, which can "
            "tell the client's address from one that the client has written."
        )
    return notes


def site_notes(inputs: Inputs, role: Role) -> list[str]:
    """About the app's site."""
    return [
        *_wanting(inputs, role),
        *_modules(inputs, role),
        *_limits(inputs, role),
        *_proxies(inputs, role),
        *_tls(inputs, role),
    ]


def _wanting(inputs: Inputs, role: Role) -> Iterator[str]:
    silent: dict[Role, set[str]] = {"balancer": NOT_THE_BALANCERS, "member": NOT_A_MEMBERS}
    for id_, name in WANTING.items():
        null = inputs.values[id_] is None and id_ in inputs.why and id_ not in inputs.left_out
        if null and id_ not in silent.get(role, set()):
            yield f"{name} is left out. {inputs.why[id_]}"


def _modules(inputs: Inputs, role: Role) -> Iterator[str]:
    """Settings that were pinned though the Caddy that is to have them cannot."""
    asked = {
        options.LIMITER: role != "member" and inputs.values["caddy.rate_limit_window"],
        options.CACHE: role != "member" and inputs.values["caddy.microcache_ttl"],
    }
    for module, is_asked in asked.items():
        if is_asked and not options.has_module(inputs, module):
            name = module.rpartition(".")[2]
            yield f"{name} is left out: this Caddy is not known to have the module {module}."


def _limits(inputs: Inputs, role: Role) -> Iterator[str]:
    if not inputs.values["caddy.rate_limit_window"]:
        return
    if role == "member":
        yield "rate_limit is left out here: the load balancer counts the clients' requests."
    elif options.forwarded(inputs, role) == "last":
        yield (
            "rate_limit is left out: behind a proxy it needs Caddy 2.8 to tell clients apart; "
            f"the target's version is {inputs.found('caddy')}. Limit them at that proxy."
        )


def _proxies(inputs: Inputs, role: Role) -> Iterator[str]:
    if role == "member":
        yield "Behind the load balancer: only it should reach these ports (a firewall's matter)."
        if not options.trusted(inputs, role):
            yield (
                "Its word on the client's address and scheme is not believed: pin "
                f"{options.TRUSTED} to its address, such as [10.0.0.5/32]."
            )
    if options.forwarded(inputs, role) == "last":
        yield (
            "The app is told the address that reached the trusted proxy. Two of those in a row "
            "need Caddy 2.8."
        )


def _tls(inputs: Inputs, role: Role) -> Iterator[str]:
    intent = inputs.intent
    if intent.tls is None or role == "member":
        return
    if intent.domain is None:
        yield "tls is left out: without a domain the site is on loopback alone."
    elif intent.tls.acme and intent.domain.startswith("*."):
        yield (
            "A wildcard's certificate needs the DNS challenge (tls, dns), and with it a module "
            "for the domain's DNS: until Caddy has that, it gets no certificate."
        )
    if options.lacks_hybrid(inputs):
        yield (
            f"The curve {options.HYBRID} is left out: it needs Caddy 2.10; the target's version "
            f"is {inputs.found('caddy')}."
        )
