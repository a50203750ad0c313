"""Caddy's files: the host's Caddyfile, and one file for each app's site that it imports.

Where `hosts` names several, the app's host answers the load balancer, whose own files are in
load_balancer/. Everything that depends on the app is in the app's own file: of what the
Caddyfile holds, each option is harmless to the other sites of the host.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output
from advisor.render.kit import caddy_options as options
from advisor.render.kit.caddy_notes import host_notes, site_notes
from advisor.render.kit.caddy_site import certificate, handles, site_of, upstreams
from advisor.render.kit.nginx_listen import reaches_app
from advisor.render.kit.since import gates
from advisor.rules import RULES
from advisor.rules.nginx_gzip import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.render.kit.caddy_site import Role
    from advisor.render.values import Inputs

# Folders of the tree: the app's host, and the load balancer in front of several.
APP_HOST, BALANCER = "caddy", "load_balancer"
CADDYFILE = "/etc/caddy/Caddyfile"
SITES = "/etc/caddy/conf.d"
# Debian's package makes this folder, and gives it to the user caddy.
LOGS = "/var/log/caddy"
SETTINGS = tuple(id_ for id_ in RULES if id_.startswith("caddy."))
# What a Caddy does not know, it refuses together with every other site.
GATES = gates(
    (
        "caddy.lb_retries",
        "caddy.request_buffers",
        "caddy.response_buffers",
        "caddy.stream_close_delay",
        "caddy.stream_timeout",
    ),
    lambda id_: id_.removeprefix("caddy."),
)


def wanted(inputs: Inputs) -> bool:
    """Where Caddy is the proxy and it is ours."""
    return "proxy" in inputs.manages and inputs.intent.proxy == "caddy"


def app_wanted(inputs: Inputs) -> bool:
    """Where it stands before the app, and no load balancer reaches past it."""
    return wanted(inputs) and not reaches_app(inputs.intent)


def balancer_wanted(inputs: Inputs) -> bool:
    """Where it has several hosts to balance besides."""
    return wanted(inputs) and inputs.intent.is_balanced


def role_of(inputs: Inputs, folder: str) -> Role:
    """What the host of this folder's files is."""
    if folder == BALANCER:
        return "balancer"
    return "member" if inputs.intent.is_balanced else "edge"


def context(inputs: Inputs, folder: str) -> dict[str, Any]:
    """What the templates of one folder name."""
    role = role_of(inputs, folder)
    return _host(inputs, role) | _site(inputs, role)


def _host(inputs: Inputs, role: Role) -> dict[str, Any]:
    """The options of the whole host."""
    monitored = "monitoring" in inputs.manages
    moved = inputs.can("caddy.metrics")
    return {
        "sites": f"{SITES}/*.caddy",
        "grace": options.of(inputs, options.GRACE),
        "timeouts": options.of(inputs, options.TIMEOUTS),
        "protocols": options.protocols(inputs),
        "client_ip": options.client_ip(inputs, role),
        # caddy#5136: since 2.6 they are off by themselves; caddy#6606: from 2.9 on the option
        # stands for itself, and is warned of inside `servers`.
        "metrics": monitored and moved,
        "server_metrics": monitored and inputs.can("caddy.server_metrics") and not moved,
        "default_server": "default-server" in inputs.manages,
        "host_notes": host_notes(inputs, role),
    }


def _site(inputs: Inputs, role: Role) -> dict[str, Any]:
    """The app's site: where it is, what it grants, and where requests go."""
    intent, values = inputs.intent, inputs.values
    site = site_of(intent, role)
    found = handles(intent, role, options.cached(inputs))
    # What visitors meet packs, whether that is the only proxy or the load balancer.
    packs = values["caddy.encode"] and role != "member"
    has_several = role == "balancer" or len(intent.sockets) > 1
    next_to_app = role != "balancer" or reaches_app(intent)
    return {
        "site": site,
        "snippet": f"{intent.app_name}_{'hosts' if role == 'balancer' else 'app'}",
        "log": f"{LOGS}/{intent.app_name}.access.json",
        "certificate": certificate(intent.tls) if site.is_secure else None,
        "tls": options.tls(inputs) if site.is_secure else [],
        "hsts": options.of(inputs, options.HSTS) if site.is_secure else [],
        "adds_headers": role != "member",
        "body": options.of(inputs, options.BODY),
        "encode": options.of(inputs, options.ENCODE) if packs else [],
        "encodings": values["caddy.encode"] if packs else [],
        "encode_why": inputs.why.get("caddy.encode", ""),
        "types": ["text/html", *TYPES],
        "limit_key": options.limit_key(inputs, role),
        "limit": options.of(inputs, options.LIMIT),
        "bypass": values["caddy.microcache_bypass"] or [],
        "bypass_why": inputs.why.get("caddy.microcache_bypass", ""),
        "ttl_why": inputs.why.get("caddy.microcache_ttl", ""),
        "handles": found,
        "streamed": [path for each in found if each.kind == "stream" for path in each.paths],
        "static": options.of(inputs, options.STATIC),
        "upstreams": upstreams(intent, role),
        "balancing": options.of(inputs, options.BALANCING) if has_several else [],
        "health_host": intent.domain if values["caddy.health_uri"] else None,
        "trusted": options.trusted(inputs, role),
        "trusted_why": inputs.why.get(options.TRUSTED, ""),
        "forwarded": options.forwarded(inputs, role),
        "transport": options.of(inputs, options.TRANSPORT),
        "buffers": options.of(inputs, options.BUFFERS) if next_to_app else [],
        "streams": options.of(inputs, options.STREAMS),
        "notes": site_notes(inputs, role),
    }


def _component(name: str, wants: Callable[[Inputs], bool]) -> Component:
    output = partial(
        Output,
        version=1,
        owner="root",
        group="root",
        mode=0o644,
        wanted=wants,
        checker="caddy",
        activation="reload",
    )
    return Component(
        name=name,
        settings=SETTINGS,
        outputs=(
            output(
                template="caddy/Caddyfile.j2",
                path=f"{name}/Caddyfile",
                target=CADDYFILE,
            ),
            output(
                template="caddy/app.caddy.j2",
                path=f"{name}/{{app}}.caddy",
                target=f"{SITES}/{{app}}.caddy",
            ),
        ),
        context=partial(context, folder=name),
        gates=GATES,
    )


CADDY = _component(APP_HOST, app_wanted)
CADDY_BALANCER = _component(BALANCER, balancer_wanted)
