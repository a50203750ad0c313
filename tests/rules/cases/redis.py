"""What Redis's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Redis
from advisor.model.sharing import share
from tests.rules.cases.shared import MIB, SILENT, WAITING, plan

# What the plan of the cases takes of 4 GiB, in megabytes.
PLANNED = WAITING.needed_bytes // MIB


def store(**changes: Any) -> Redis:
    """A Redis with a thousand keys that all expire."""
    return Redis.model_validate(
        {
            "address": "127.0.0.1:6379",
            "version": "7.0.15",
            "maxmemory_bytes": 0,
            "maxmemory_policy": "noeviction",
            "used_bytes": 100 * MIB,
            "peak_bytes": 200 * MIB,
            "hit_ratio": 0.9,
            "evicted_keys": 0,
            "keys": 1000,
            "keys_without_expiry": 0,
            "persistence": ["rdb"],
            "io_threads": 1,
            "broker_of": None,
            **changes,
        }
    )


def used_as(role: str | None, **changes: Any) -> dict[str, Any]:
    return {"redis": store(**changes), "redis.role": role}


def beside(available: int, role: str | None, **changes: Any) -> dict[str, Any]:
    """Redis on a host with so many megabytes free, beside the plan."""
    return plan(WAITING) | {"memory.available_bytes": available * MIB} | used_as(role, **changes)


def part(available: int, ratio: float) -> int:
    """So much of what is left: Redis's own 100 MB are free to it, the plan's are not."""
    left = (available + 100) * MIB - WAITING.needed_bytes
    return int(left * ratio) // MIB * MIB


CPUS = "cpu.effective"
CACHE, BROKER, STORE = used_as("cache"), used_as("broker"), used_as("store")
QUEUE = {"broker_of": "celery"}
PERSISTENT = {"keys_without_expiry": 5}
SILENT_REDIS = {"used_bytes": None, "keys_without_expiry": None, "version": None}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "redis.maxmemory": [
        (beside(4096, "cache"), part(4096, 0.75)),
        (beside(4096, None), part(4096, 0.5)),
        (beside(4096, "store"), part(4096, 0.5)),
        # A cache that holds a queue is no cache.
        (beside(4096, "cache", **QUEUE), part(4096, 0.5)),
        # Little is left: what it holds, and at its peak where a write would be refused.
        (beside(PLANNED, "cache"), 100 * MIB),
        (beside(PLANNED, "store"), 200 * MIB),
        (beside(0, "cache", used_bytes=100 * MIB + 1), 101 * MIB),
        (
            beside(4096, "cache") | {"shares": share(2, 4096 * MIB, {"rq": "cpu"}, 100 * MIB)},
            part(4096 - 400, 0.75),
        ),
        (beside(4096, "cache", **SILENT_REDIS), None),
    ],
    "redis.maxmemory_policy": [
        ({}, SILENT),
        ({"redis.role": "cache", "components.redis.version": "7.0.15"}, "allkeys-lfu"),
        ({"redis.role": "cache"}, "allkeys-lru"),
        ({"redis.role": "store"}, "noeviction"),
        (CACHE, "allkeys-lfu"),
        (used_as("cache", version="3.2.1"), "allkeys-lru"),
        (used_as("cache", version=None), "allkeys-lru"),
        (used_as("cache", **QUEUE), "noeviction"),
        (used_as("cache", **PERSISTENT), "noeviction"),
        (used_as("cache", **SILENT_REDIS), None),
        (BROKER, "noeviction"),
        (STORE, "noeviction"),
        (used_as(None), None),
        (used_as(None, **QUEUE), "noeviction"),
        (used_as(None, **PERSISTENT), "noeviction"),
    ],
    "redis.io_threads": [
        (CACHE | {CPUS: 2}, SILENT),
        (CACHE | {CPUS: 4}, 2),
        (STORE | {CPUS: 7.5}, 3),
        (CACHE | {CPUS: 64}, 8),
        (BROKER | {CPUS: 8}, SILENT),
        (used_as("cache", version="5.0.7") | {CPUS: 8}, SILENT),
        (used_as("cache", version=None) | {CPUS: 8}, None),
    ],
    "redis.save": [
        (used_as(None), SILENT),
        (CACHE, ""),
        (used_as("cache", **PERSISTENT), None),
        (BROKER, None),
        (STORE, None),
    ],
    "redis.appendonly": [
        (used_as(None), SILENT),
        (CACHE, "no"),
        (used_as("cache", **QUEUE), None),
        (BROKER, "yes"),
        (used_as("store", persistence=["rdb", "aof"]), "yes"),
        ({"redis.role": "store"}, "yes"),
    ],
    "redis.timeout": [({}, SILENT), (CACHE, 0), ({"redis.role": "broker"}, 0)],
    "redis.lazyfree_lazy_eviction": [
        (CACHE | {"redis.maxmemory_policy": "allkeys-lfu"}, "yes"),
        (CACHE | {"redis.maxmemory_policy": "noeviction"}, SILENT),
        (used_as("cache", version="3.2.1") | {"redis.maxmemory_policy": "allkeys-lru"}, SILENT),
    ],
    "redis.lazyfree_lazy_expire": [
        (CACHE, "yes"),
        (STORE, SILENT),
        (used_as("cache", version=None), SILENT),
    ],
}
