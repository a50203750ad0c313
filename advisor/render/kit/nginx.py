"""nginx's file for one app, beside other sites on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Gate, Output
from advisor.render.place import slashed

if TYPE_CHECKING:
    from advisor.render.values import Inputs

NO_DOMAIN_LISTEN = "127.0.0.1:8080"
SETTINGS = (
    "nginx.upstream_keepalive",
    "nginx.upstream_keepalive_timeout",
    "nginx.proxy_connect_timeout",
    "nginx.proxy_read_timeout",
    "nginx.proxy_send_timeout",
    "nginx.proxy_buffering",
    "nginx.client_max_body_size",
)
GATES = {
    # nginx's reference, ngx_http_upstream_module: keepalive_timeout appeared in 1.15.3.
    "nginx.upstream_keepalive_timeout": Gate(
        "nginx", (1, 15, 3), "keepalive_timeout is left out: in an upstream it needs nginx 1.15.3"
    ),
}


def wanted(inputs: Inputs) -> bool:
    """Where nginx is the proxy and it is ours."""
    return "proxy" in inputs.manages and inputs.intent.proxy in {None, "nginx"}


def context(inputs: Inputs) -> dict[str, Any]:
    """Where it listens and for whom, and what it serves itself."""
    intent = inputs.intent
    return {
        "nginx_listen": [NO_DOMAIN_LISTEN] if intent.domain is None else ["80", "[::]:80"],
        "server_name": intent.domain or "localhost",
        # $host carries no port, and an app on another port than 80 needs it in its redirects.
        # $http_host would let a request line name one host and the header another.
        "host_header": "$host:$server_port" if intent.domain is None else "$host",
        "static": [
            (slashed(url), slashed(folder)) for url, folder in (intent.static or {}).items()
        ],
    }


NGINX = Component(
    name="nginx",
    settings=SETTINGS,
    outputs=(
        Output(
            template="nginx/app.conf.j2",
            version=1,
            path="nginx/{app}.conf",
            target="/etc/nginx/conf.d/{app}.conf",
            owner="root",
            group="root",
            mode=0o644,
            wanted=wanted,
            checker="nginx",
            activation="reload",
        ),
    ),
    context=context,
    gates=GATES,
)
