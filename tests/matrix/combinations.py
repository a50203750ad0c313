"""What users combine: each server, proxy, TLS and socket, and the features beside them. Pure.

Every combination of the four axes is there, plain and with features. Which features go with
which is an orthogonal array: feature k is on in row n where `n & MASKS[k]` has an odd number of
bits. The masks themselves have odd numbers of bits, so that no three of them sum to nothing:
within 64 rows in sequence any three features are met in all eight combinations.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

# The server's name, the interface of the app, and what is pinned to have it so.
SERVERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sync": ("gunicorn", "wsgi", {"gunicorn.worker_class": "sync"}),
    "gthread": ("gunicorn", "wsgi", {"gunicorn.worker_class": "gthread"}),
    "gevent": ("gunicorn", "wsgi", {"gunicorn.worker_class": "gevent"}),
    "asgi": ("gunicorn", "asgi", {"gunicorn.worker_class": "asgi"}),
    "uvicorn-worker": (
        "gunicorn",
        "asgi",
        {"gunicorn.worker_class": "uvicorn_worker.UvicornWorker"},
    ),
    "uvicorn": ("uvicorn", "asgi", {}),
    "hypercorn": ("hypercorn", "asgi", {}),
    "granian": ("granian", "asgi", {}),
    "granian-wsgi": ("granian", "wsgi", {}),
}
PROXIES = ("nginx", "caddy", "none")
TLS: dict[str, dict[str, Any]] = {
    "http": {},
    "files": {"tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}},
    "acme": {"tls": {"acme": True}},
}
SOCKETS = ("unix", "127.0.0.1:8000", "[::1]:8000")

# What each adds to advisor.yml; lists and mappings are joined.
FEATURES: dict[str, dict[str, Any]] = {
    "static": {"static": {"/static/": "/srv/shop/static/", "/media": "/srv/shop/media"}},
    "websocket": {"routes": {"/ws": "websocket"}},
    "stream": {"routes": {"/events": "stream"}},
    "microcache": {"routes": {"/api/search": {"microcache": "1s"}, "/news/": {"microcache": "5s"}}},
    "rate": {"limits": {"rate_per_client_rps": 20}},
    "body": {"limits": {"request_body": "10M"}},
    "http3": {"pins": {"nginx.http3": True}},
    "behind": {"pins": {"nginx.set_real_ip_from": ["10.0.0.0/8", "fd00::/8"]}},
    "caddy-http3": {"pins": {"caddy.http3": True}},
    "caddy-behind": {"pins": {"caddy.trusted_proxies": ["10.0.0.0/8", "fd00::/8"]}},
    "hosts": {"hosts": ["10.0.0.11:80", "10.0.0.12:80", "[fd00::13]:8080"]},
    "named-hosts": {"hosts": ["web1.example:80", "web2.example:80"]},
    "sockets": {"hosts": ["unix:/run/shop-1/shop-1.sock", "unix:/run/shop-2/shop-2.sock"]},
    "no-domain": {"domain": None},
    "wildcard": {"domain": "*.shop.example"},
    "dropin": {"systemd": {"mode": "dropin", "unit": "shop-web.service"}},
    "celery": {"background": {"celery": {"app": "shop.tasks:queue", "kind": "cpu"}}},
    "rq": {"background": {"rq": {"queues": ["high", "low"], "kind": "io"}}},
    "cache": {"redis": {"role": "cache"}},
    "broker": {"redis": {"role": "broker"}},
    "busy": {"targets": {"concurrency": 1000, "rate_rps": 3000}},
    "home": {"app": {"directory": "/home/ann/shop", "virtualenv": "/home/ann/venv"}},
    "factory": {"app": {"module": "shop.main:create_app()"}},
    "environment": {
        "app": {
            "environment": {"LOG_LEVEL": "info", "DATABASE_HOST": "db.example:5432"},
            "environment_file": "/etc/shop/env",
            "writable": ["/srv/shop/uploads"],
            "health": "/healthz",
        }
    },
    "workers": {"manage": ["workers"]},
    "redis": {"manage": ["redis"]},
    "sysctl": {"manage": ["sysctl"]},
    "monitoring": {"manage": ["monitoring"]},
    "default-server": {"manage": ["default-server"]},
}
MASKS = [mask for mask in range(64) if mask.bit_count() % 2][: len(FEATURES)]
# Pairs that say two things about one key.
CONTRARY = (
    {"hosts", "named-hosts"},
    {"hosts", "sockets"},
    {"named-hosts", "sockets"},
    {"no-domain", "wildcard"},
    {"cache", "broker"},
    {"no-domain", "hosts"},
    {"no-domain", "named-hosts"},
)
# Settings of one proxy mean nothing to the other.
ONLY = {"http3": "nginx", "behind": "nginx", "caddy-http3": "caddy", "caddy-behind": "caddy"}
USUAL = ("server", "proxy", "systemd")


@dataclass(frozen=True)
class Combination:
    """One deployment that somebody may pick."""

    server: str
    proxy: str
    tls: str
    socket: str
    features: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As failures name it."""
        base = f"{self.server} {self.proxy} {self.tls} {self.socket}"
        return f"{base}: {', '.join(self.features) or 'plain'}"

    @property
    def worker_class(self) -> str | None:
        """Gunicorn's class, where it is the server."""
        return SERVERS[self.server][2].get("gunicorn.worker_class")


def fits(feature: str, proxy: str, tls: str) -> bool:
    """Whether a feature means anything there: one that does not is no choice of anybody's."""
    if proxy != ONLY.get(feature, proxy):
        return False
    match feature:
        case "http3" | "caddy-http3":
            return tls != "http"
        case "hosts" | "named-hosts" | "sockets":
            return proxy != "none"
        case "no-domain" | "wildcard":
            # Nobody certifies what has no name; a wildcard's certificate needs the DNS.
            return tls != "acme"
        case _:
            return True


def combinations() -> list[Combination]:
    """All of them: plain over a unix socket, and with features over the axes' full product."""
    bases = list(product(SERVERS, PROXIES, TLS, SOCKETS))
    plain = [Combination(*base) for base in bases if base[3] == SOCKETS[0]]
    alone = [
        Combination("uvicorn-worker", proxy, tls, SOCKETS[0], (feature,))
        for feature in FEATURES
        for proxy, tls in product(PROXIES[:2], ("http", "files"))
        if fits(feature, proxy, tls)
    ]
    together = [
        Combination(server, proxy, tls, socket, _features(number, proxy, tls))
        for number, (server, proxy, tls, socket) in enumerate(bases)
    ]
    return [*plain, *alone, *together]


def _features(number: int, proxy: str, tls: str) -> tuple[str, ...]:
    # An odd factor gives every row of the 64 its turn, and neighbours few bits in common.
    row = number * 27 % 64
    chosen: list[str] = []
    # Of two that are contrary, each comes first half of the time.
    for feature, mask in list(zip(FEATURES, MASKS, strict=True))[:: 1 - 2 * (row % 2)]:
        is_on = (row & mask).bit_count() % 2 and fits(feature, proxy, tls)
        if is_on and not any({feature, other} in CONTRARY for other in chosen):
            chosen.append(feature)
    return tuple(chosen)


def advisor_yml(combination: Combination) -> dict[str, Any]:
    """The combination as advisor.yml says it."""
    server, interface, pins = SERVERS[combination.server]
    data: dict[str, Any] = {
        "app": {"name": "shop", "module": "shop.main:app", "interface": interface},
        "server": server,
        "listen": combination.socket,
        "proxy": combination.proxy,
        "domain": "shop.example",
        "pins": pins,
    } | TLS[combination.tls]
    for feature in combination.features:
        data = _joined(data, FEATURES[feature])
    if "manage" in data:
        data["manage"] = [*USUAL, *data["manage"]]
    return {key: value for key, value in data.items() if value is not None}


def _joined(data: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    out = dict(data)
    for key, value in more.items():
        here = out.get(key)
        if isinstance(here, dict) and isinstance(value, dict):
            out[key] = _joined(here, value)
        elif isinstance(here, list) and isinstance(value, list):
            out[key] = here + value
        else:
            out[key] = value
    return out
