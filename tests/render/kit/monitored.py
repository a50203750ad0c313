"""Recommendations to watch: every part that has alerts, in two deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

SCRAPE = "monitoring/prometheus.yml"
RULES = "monitoring/shop.rules.yml"
DASHBOARD = "monitoring/shop.dashboard.json"
MIB = 1024**2
ALL = ["server", "proxy", "systemd", "workers", "redis", "monitoring"]

# nginx, a store, and workers beside the server, whose quota is then their slice's.
STORE: dict[str, Any] = {
    "intent": {
        "manage": ALL,
        "redis.role": "store",
        "background.celery": {"app": "shop.tasks:queue", "kind": "cpu"},
        "background.rq": {"queues": ["high"], "kind": "io"},
    },
    "settings": {
        "systemd.memory_high": 900 * MIB,
        "systemd.cpu_quota": 150,
        "systemd.tasks_max": 512,
        "redis.maxmemory": 400 * MIB,
        "redis.maxmemory_policy": "noeviction",
        "redis.appendonly": "yes",
    },
}
# Caddy, a cache, and a port of the app's own.
CACHE: dict[str, Any] = {
    "intent": {
        "manage": ALL,
        "proxy": "caddy",
        "listen": "127.0.0.1:8000",
        "redis.role": "cache",
    },
    "settings": {
        "systemd.memory_high": 900 * MIB,
        "systemd.cpu_quota": 150,
        "redis.maxmemory": 400 * MIB,
        "redis.maxmemory_policy": "allkeys-lfu",
        "redis.appendonly": "no",
    },
}
DEPLOYMENTS = {"store": STORE, "cache": CACHE}


def rec_of(make: Make, deployment: str = "store", **changes: Any) -> Recommendation:
    chosen = DEPLOYMENTS[deployment]
    merged = {
        key: chosen.get(key, {}) | changes.pop(key, {})
        for key in ("intent", "settings", "components")
    }
    return make(**merged, **changes)
