"""nginx's files for one app, beside other sites on the host, and its load balancer's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from advisor.render.component import Activation, Component, Output
from advisor.render.kit import nginx_client, nginx_listen, nginx_routes, nginx_tls
from advisor.render.kit.nginx_lines import (
    CACHE,
    CACHE_PATH,
    CLIENT,
    GATES,
    KEPT,
    NEXT,
    PROXY,
    SETTINGS,
    lacks,
    needed,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.render.kit.nginx_listen import Role
    from advisor.render.kit.nginx_routes import Location
    from advisor.render.values import Inputs

RELOAD: Activation = "reload"


def wanted(inputs: Inputs) -> bool:
    """Where nginx is the proxy and it is ours."""
    return "proxy" in inputs.manages and inputs.intent.proxy in {None, "nginx"}


def role_of(inputs: Inputs) -> Role:
    """What the nginx beside the app is: alone, or one of several behind our balancer."""
    return "host" if inputs.intent.is_balanced else "edge"


def wants_app(inputs: Inputs) -> bool:
    """Where it stands before the app, and no load balancer reaches past it."""
    return wanted(inputs) and not nginx_listen.reaches_app(inputs.intent)


def _wants_balancer(inputs: Inputs) -> bool:
    return wanted(inputs) and inputs.intent.is_balanced


def _wants_challenges(inputs: Inputs) -> bool:
    edge = wanted(inputs) and not inputs.intent.is_balanced
    return edge and nginx_tls.answers_challenges(inputs.intent)


def _wants_balancers_challenges(inputs: Inputs) -> bool:
    return _wants_balancer(inputs) and nginx_tls.answers_challenges(inputs.intent)


def _wants_default(inputs: Inputs) -> bool:
    return wants_app(inputs) and "default-server" in inputs.manages


def _wants_balancers_default(inputs: Inputs) -> bool:
    return _wants_balancer(inputs) and "default-server" in inputs.manages


def context(inputs: Inputs, role: Role | None = None) -> dict[str, Any]:
    """All that the templates name: where, for whom, and the lines of each part.

    Raises `InvalidInput` where the recommendation contradicts itself.
    """
    role = role or role_of(inputs)
    if "default-server" in inputs.manages:
        nginx_listen.check_name(inputs.intent)
    locations = nginx_routes.locations(inputs, is_caching=role != "host")
    return {
        "role": role,
        "var": nginx_listen.variables(inputs.intent.app_name),
        **_places(inputs, role),
        **_tls(inputs, role),
        **_client(inputs, role),
        **_upstream(inputs, role),
        **_locations(inputs, role, locations),
        "notes": _notes(inputs, role),
    }


def _places(inputs: Inputs, role: Role) -> dict[str, Any]:
    intent = inputs.intent
    domain = intent.domain or "localhost"
    # $host carries no port, and an app on another port than 80 needs it in its redirects.
    # $http_host would let a request line name one host and the header another.
    with_port = intent.domain is None and role != "host"
    listens = nginx_listen.listens(inputs, role)
    return {
        "domain": domain,
        "listens": listens,
        "plain_listens": nginx_listen.plain(inputs, role),
        "default_listens": nginx_listen.default_listens(inputs, role),
        "default_tls_listens": [words for words in listens if "ssl" in words],
        "bucket_size": nginx_listen.bucket_size(domain),
        "host_header": "$host:$server_port" if with_port else "$host",
        # A wildcard's own name is in the request alone.
        "https_host": "$host" if domain.startswith("*.") else domain,
        "status_listen": None if lacks(inputs, "http_stub_status") else nginx_listen.STATUS_LISTEN,
    }


def _tls(inputs: Inputs, role: Role) -> dict[str, Any]:
    intent = inputs.intent
    found = None if role == "host" else nginx_tls.certificate(intent)
    return {
        "certificate": found,
        "challenges": nginx_tls.answers_challenges(intent),
        "webroot": nginx_tls.WEBROOT,
        "policy": nginx_tls.policy(inputs) if found else [],
        "http2": nginx_tls.http2(inputs),
        "http3": found is not None and nginx_tls.http3(inputs),
        "rejects_handshakes": nginx_tls.rejects_handshakes(inputs),
        "found_nginx": inputs.found("nginx"),
    }


def _client(inputs: Inputs, role: Role) -> dict[str, Any]:
    var = nginx_listen.variables(inputs.intent.app_name)
    trusted = nginx_client.trusted(inputs, role)
    forwarded = nginx_client.believes_scheme(inputs, role)
    return {
        "client": said(inputs, *CLIENT),
        "trusted": trusted,
        "real_ip": nginx_client.real_ip(inputs, role),
        "believes_scheme": forwarded,
        "scheme": f"${var}_scheme" if forwarded else "$scheme",
        "is_behind": bool(trusted) or role == "host",
        "adds_headers": role != "host",
        "merges_headers": inputs.can("nginx.add_header_inherit"),
        "gzip": nginx_client.gzip(inputs) if role != "host" else [],
        "packings": nginx_client.packings(inputs) if role != "host" else [],
        "packing_types": nginx_client.packing_types(inputs),
        "limits_rate": nginx_client.limits_rate(inputs, role),
        "limits_connections": nginx_client.limits_connections(inputs, role),
    }


def _upstream(inputs: Inputs, role: Role) -> dict[str, Any]:
    intent = inputs.intent
    peers = (intent.hosts or []) if role == "balancer" else intent.sockets
    return {
        "peers": peers,
        "are_named": nginx_client.are_named(intent),
        "kept": said(inputs, *KEPT),
        "proxy": said(inputs, *PROXY),
        "next": said(inputs, *NEXT) if len(peers) > 1 else [],
    }


def _locations(inputs: Inputs, role: Role, locations: list[Location]) -> dict[str, Any]:
    values = inputs.values
    is_caching = any(location.kind == "cached" for location in locations)
    if is_caching:
        needed(inputs, ["nginx.microcache_zone_size"], beside=nginx_routes.VALID)
    var = nginx_listen.variables(inputs.intent.app_name)
    # Behind a trusted proxy an answer for HTTPS is not one for HTTP, and $scheme is the same.
    believed = nginx_client.believes_scheme(inputs, role)
    return {
        "static": nginx_routes.static(inputs.intent) if role != "balancer" else [],
        "static_lines": said(inputs, "nginx.static_expires"),
        "locations": locations,
        "is_upgrading": any(location.kind == "websocket" for location in locations),
        "websocket": said(inputs, "nginx.websocket_read_timeout"),
        "stream_lines": said(inputs, "nginx.stream_buffering", "nginx.stream_read_timeout"),
        "is_caching": is_caching,
        "cache": said(inputs, *CACHE),
        "cache_path": said(inputs, *CACHE_PATH),
        "cache_key": _key(values["nginx.microcache_key"], f"${var}_scheme" if believed else None),
        "cache_buffers": values["nginx.proxy_buffering"] is False,
    }


def _key(key: str | None, scheme: str | None) -> list[str]:
    """The variables of a cache's key, the scheme that the client used in the place of ours."""
    names = [f"${name}" for name in (key or "").split("$")[1:]]
    return [scheme if scheme and name == "$scheme" else name for name in names]


def _notes(inputs: Inputs, role: Role) -> list[str]:
    status = "The page of counters is left out: the target's nginx is built without stub_status."
    return [
        *(nginx_tls.notes(inputs) if role != "host" else []),
        *nginx_client.notes(inputs, role),
        *(nginx_routes.notes(inputs) if role != "host" else []),
        *([status] if lacks(inputs, "http_stub_status") else []),
    ]


def _output(
    template: str, path: str, target: str, wanted: Callable[[Inputs], bool], version: int = 1
) -> Output:
    return Output(
        template=f"nginx/{template}.conf.j2",
        version=version,
        path=path,
        target=f"/etc/nginx/conf.d/{target}",
        owner="root",
        group="root",
        mode=0o644,
        wanted=wanted,
        checker="nginx",
        activation=RELOAD,
    )


# The default server's file is read first, and takes the place of nobody's conf.d/default.conf.
NGINX = Component(
    name="nginx",
    settings=SETTINGS,
    outputs=(
        _output("app", "nginx/{app}.conf", "{app}.conf", wants_app, version=3),
        _output("acme", "nginx/{app}.acme.conf", "{app}.acme.conf", _wants_challenges),
        _output("default", "nginx/default.conf", "00-default.conf", _wants_default),
    ),
    context=context,
    gates=GATES,
)
NGINX_BALANCER = Component(
    name="load_balancer",
    settings=SETTINGS,
    outputs=(
        _output("app", "load_balancer/{app}.conf", "{app}.conf", _wants_balancer, version=3),
        _output(
            "acme",
            "load_balancer/{app}.acme.conf",
            "{app}.acme.conf",
            _wants_balancers_challenges,
        ),
        _output(
            "default", "load_balancer/default.conf", "00-default.conf", _wants_balancers_default
        ),
    ),
    context=partial(context, role="balancer"),
    gates=GATES,
)
