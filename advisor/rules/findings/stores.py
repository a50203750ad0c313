"""Findings about what stands behind the app: Redis and the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.model import connections
from advisor.quantities import count, size
from advisor.rules.findings.case import Case, Said, finding

if TYPE_CHECKING:
    from advisor.documents import Redis


@finding("redis-evicts-queue", "critical")
def _evicts(case: Case) -> Said | None:
    """A broker's or a store's keys are no cache: what is evicted is lost work."""
    evicting = [store for store in case.facts.redis if _is_kept(case, store) and _evicting(store)]
    if not evicting:
        return None
    store = evicting[0]
    holds = f"the queue of {store.broker_of}" if store.broker_of else "what cannot be made again"
    gone = f"; {store.evicted_keys:,} keys have gone so" if store.evicted_keys else ""
    return Said(
        "Redis throws away what must stay",
        f"{store.address} holds {holds}, and drops keys when its memory is full "
        f"({store.maxmemory_policy}){gone}.",
        {
            "maxmemory_policy": store.maxmemory_policy,
            "maxmemory_bytes": store.maxmemory_bytes,
            "evicted_keys": store.evicted_keys,
        },
        "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file; keep "
        "the cache in a Redis of its own.",
        # Without a limit nothing is dropped, until somebody sets one.
        "warning" if store.maxmemory_bytes == 0 else None,
    )


def _is_kept(case: Case, store: Redis) -> bool:
    """Whether its keys must stay: a queue was seen, or advisor.yml says so of the only one."""
    said = case.value("redis.role") in {"broker", "store"} and len(case.facts.redis) == 1
    return store.broker_of is not None or said


def _evicting(store: Redis) -> bool:
    return store.maxmemory_policy not in {None, "noeviction"}


@finding("redis-without-limit", "warning")
def _unlimited(case: Case) -> Said | None:
    """Redis's own maxmemory is 0: no limit (redis.conf)."""
    free = [store for store in case.facts.redis if store.maxmemory_bytes == 0]
    if not free:
        return None
    store = free[0]
    used = f" It uses {size(store.used_bytes)} now." if store.used_bytes is not None else ""
    return Said(
        "Redis has no memory limit",
        f"{store.address} grows until the kernel ends it, or one of the app's workers.{used}",
        {"maxmemory_bytes": 0, "used_bytes": store.used_bytes, "peak_bytes": store.peak_bytes},
        "CONFIG SET maxmemory to what this host can spare (redis.maxmemory here), and the same in "
        "its configuration file.",
    )


@finding("database-connections", "critical")
def _database(case: Case) -> Said | None:
    """Not one connection for each worker, in the moment when a reload runs old and new ones."""
    most = case.value("database.max_connections")
    if most is None:
        return None
    reserved = case.value("database.reserved") or 0
    hosts, workers = max(1, len(case.value("hosts"))), case.plan.config.workers
    if connections.per_worker(most, reserved, hosts, workers) >= 1:
        return None
    return Said(
        "The database has too few connections",
        f"{most} connections less {reserved} reserved do not give one each to "
        f"{count(workers, 'worker')} on {count(hosts, 'host')}, twice during a reload "
        f"({2 * workers * hosts}).",
        {
            "database.max_connections": most,
            "database.reserved": reserved,
            "workers": workers,
            "hosts": hosts,
        },
        "Raise max_connections, run fewer workers, or put a pooler such as PgBouncer before the "
        "database.",
    )
