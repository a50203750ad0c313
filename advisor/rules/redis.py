"""Redis beside the app, by its use: values as CONFIG SET takes them. Sizes are bytes.

Its keys are the user's: nothing here drops one that may have to stay, and what Redis does not
tell is left as it is. `redis` is what it says of itself, `redis.role` what advisor.yml says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from advisor.documents import Alternative
from advisor.quantities import size
from advisor.rules.registry import Choice, Seen, rule
from advisor.rules.versions import parse

if TYPE_CHECKING:
    from advisor.documents import Redis
    from advisor.model.choose import Plan
    from advisor.rules.versions import Version

Bytes = Annotated[int, Field(ge=0, le=2**62)] | None
Switch = Literal["yes", "no"] | None
SavePoints = (
    Annotated[str, Field(pattern=r"^(?:[0-9]{1,9} [0-9]{1,9}(?: [0-9]{1,9} [0-9]{1,9})*)?$")] | None
)
Policy = (
    Literal[
        "noeviction",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ]
    | None
)

MIB = 1024**2
USE = ("redis", "redis.role", "components.redis.version")
# Of what is left: a fork that saves may take as much again as the keys (redis.io,
# administration); without one, fragments and the buffers of clients take their part.
SAVING_RATIO, CACHE_RATIO = 0.5, 0.75


@rule(
    "redis.maxmemory",
    needs=("redis", "plan", "memory.available_bytes"),
    wants=("redis.role", "shares"),
    unit="bytes",
    accepts=Bytes,
    default=0,
    source="redis.conf, maxmemory; redis.io: administration, memory while saving",
    optional=True,
)
def maxmemory(s: Seen) -> Choice:
    """A part of what the app's plan and background work leave, never below what it holds.

    Where keys must stay, a full Redis refuses writes, so there it is not below the peak either.
    """
    store: Redis = s["redis"]
    if store.used_bytes is None:
        why = f"Left as it is: Redis at {store.address} does not tell how much it holds."
        return Choice(None, why, confidence="low", inputs={})
    kept = _kept(s)
    plan: Plan = s["plan"]
    others = plan.needed_bytes + (s["shares"].background_memory_bytes if s["shares"] else 0)
    left = s["memory.available_bytes"] + store.used_bytes - others
    ratio = CACHE_RATIO if kept is None and s["redis.role"] == "cache" else SAVING_RATIO
    part = max(0, int(ratio * left)) // MIB * MIB
    held = max(store.used_bytes, (store.peak_bytes or 0) if kept else 0)
    least = -(-max(1, held) // MIB) * MIB
    inputs = {"left_bytes": max(0, left), "used_bytes": store.used_bytes, "others_bytes": others}
    if part < least:
        return Choice(
            least,
            f"What it holds{' at its peak' if held > store.used_bytes else ''}: the app's plan "
            f"leaves only {size(max(0, left))} beside it.",
            binding="memory",
            confidence="low",
            inputs=inputs,
        )
    words = "Three quarters" if ratio == CACHE_RATIO else "Half"
    rest = "fragments and clients" if ratio == CACHE_RATIO else "the copy that saving may make"
    return Choice(
        part,
        f"{words} of the {size(left)} that the app's plan leaves; the rest is for {rest}.",
        binding="memory",
        confidence="medium",
        inputs=inputs,
    )


@rule(
    "redis.maxmemory_policy",
    wants=USE,
    accepts=Policy,
    default="noeviction",
    source="redis.conf, maxmemory-policy; Redis 4.0: LFU; kombu#1063: evicted queues",
)
def maxmemory_policy(s: Seen) -> Choice | None:
    """A cache drops what is used least often; whatever must stay is never dropped.

    LFU came with Redis 4.0; LRU where the version is older or not known.
    """
    store: Redis | None = s["redis"]
    if store is None and s["redis.role"] is None:
        return None
    if kept := _kept(s):
        others: tuple[Alternative, ...] = ()
        if s["redis.role"] == "cache":
            why = "Drops only keys that expire; a Redis of its own for the cache is safer."
            others = (Alternative(value="volatile-lfu", why=why),)
        return Choice(
            "noeviction", f"Nothing may be dropped: {kept}.", inputs=_told(s), alternatives=others
        )
    if s["redis.role"] != "cache":
        why = "Left as it is: whether its keys may go is not known; redis.role says it."
        return Choice(None, why, confidence="low", inputs=_told(s))
    if store is not None and store.keys_without_expiry is None:
        why = f"Left as it is: Redis at {store.address} does not tell whether keys must stay."
        return Choice(None, why, confidence="low", inputs=_told(s))
    version = _version(s)
    if version is None or version < (4,):
        known = "an unknown version" if version is None else "Redis below 4.0"
        why = f"A full cache drops what was not used for longest; {known} may not count uses."
        return Choice("allkeys-lru", why, confidence="medium", inputs=_told(s))
    return Choice("allkeys-lfu", "A full cache drops what is used least often.", inputs=_told(s))


@rule(
    "redis.io_threads",
    needs=("redis", "cpu.effective"),
    wants=("redis.role", "components.redis.version"),
    unit="threads",
    accepts=Annotated[int, Field(ge=1, le=128)] | None,
    default=1,
    source="redis.conf, io-threads: from four cores on, with one to spare; Redis 6.0",
    optional=True,
)
def io_threads(s: Seen) -> Choice | None:
    """Half of four CPUs and more, at most eight: the app shares them. Silent for a broker."""
    version, cpus = _version(s), s["cpu.effective"]
    if cpus < 4 or s["redis.role"] == "broker" or (version is not None and version < (6,)):
        return None
    if version is None:
        why = "Left out: Redis below 6.0 does not know it, and the version is not known."
        return Choice(None, why, confidence="low")
    return Choice(
        min(8, int(cpus // 2)),
        f"Half of the {cpus:g} CPUs, from Redis's next start; it pays only where Redis keeps one "
        "busy.",
        binding="cpu",
        confidence="low",
        inputs={"cpu.effective": cpus},
    )


@rule(
    "redis.save",
    wants=USE,
    accepts=SavePoints,
    default="3600 1 300 100 60 10000",
    source="redis.conf, save",
)
def save(s: Seen) -> Choice | None:
    """No snapshots of a cache, which is made again; silent without a role."""
    if s["redis.role"] is None:
        return None
    if kept := _kept(s):
        return Choice(None, f"Snapshots stay as they are: {kept}.", inputs=_told(s))
    why = "A cache is made again; a snapshot forks, and takes CPU and memory from the app."
    return Choice("", why, inputs=_told(s))


@rule(
    "redis.appendonly",
    wants=USE,
    accepts=Switch,
    default="no",
    source="redis.conf, appendonly; redis#12484: enabled by a restart, it loads an empty log",
)
def appendonly(s: Seen) -> Choice | None:
    """On for a broker and a store: at most a second of writes is lost, not five minutes."""
    role, store = s["redis.role"], s["redis"]
    if role is None:
        return None
    if role == "cache":
        if kept := _kept(s):
            return Choice(None, f"The log stays as it is: {kept}.", inputs=_told(s))
        return Choice("no", "A cache is made again, so no write has to survive.", inputs=_told(s))
    if store is not None and "aof" in store.persistence:
        why = f"On already: a {role} loses at most the last second."
        return Choice("yes", why, inputs=_told(s))
    return Choice(
        "yes",
        f"A {role} loses at most the last second. First CONFIG SET appendonly yes while it runs: "
        "a restart with only the file changed starts empty.",
        confidence="medium",
        inputs=_told(s),
    )


@rule(
    "redis.timeout",
    wants=USE,
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=86400)] | None,
    default=0,
    source="redis.conf, timeout and tcp-keepalive",
)
def timeout(s: Seen) -> Choice | None:
    """Never: clients' pools keep idle connections, and a closed one fails the next command."""
    if s["redis"] is None and s["redis.role"] is None:
        return None
    why = "Pools keep idle connections; tcp-keepalive finds those whose client is gone."
    return Choice(0, why, inputs=_told(s))


@rule(
    "redis.lazyfree_lazy_eviction",
    needs=("redis.maxmemory_policy",),
    wants=USE,
    accepts=Switch,
    default="no",
    source="redis.conf, lazyfree-lazy-eviction (4.0)",
    optional=True,
)
def lazyfree_lazy_eviction(s: Seen) -> Choice | None:
    """Where keys are dropped: large ones are freed beside the commands, and not before them."""
    if s["redis.maxmemory_policy"] == "noeviction":
        return None
    return _in_background(s, "dropped")


@rule(
    "redis.lazyfree_lazy_expire",
    wants=USE,
    accepts=Switch,
    default="no",
    source="redis.conf, lazyfree-lazy-expire (4.0)",
)
def lazyfree_lazy_expire(s: Seen) -> Choice | None:
    """In a cache keys expire all the time: large ones are freed beside the commands."""
    return _in_background(s, "expired") if s["redis.role"] == "cache" else None


def _in_background(s: Seen, gone: str) -> Choice | None:
    version = _version(s)
    if version is None or version < (4,):
        return None
    why = f"The memory of {gone} keys is freed by a thread, and no command waits for it."
    return Choice("yes", why, inputs=_told(s))


def _kept(s: Seen) -> str | None:
    """Why nothing may be dropped; None where nothing is seen that must stay."""
    store: Redis | None = s["redis"]
    if s["redis.role"] in {"broker", "store"}:
        return f"redis.role is {s['redis.role']}"
    if store is not None and store.broker_of:
        return f"it holds the queue of {store.broker_of}"
    if store is not None and store.keys_without_expiry:
        return f"{store.keys_without_expiry:,} of its keys have no expiry"
    return None


def _version(s: Seen) -> Version | None:
    """That of the Redis which runs, else of the one installed."""
    store: Redis | None = s["redis"]
    told = (store.version if store else None) or s["components.redis.version"]
    return parse(told) if told else None


def _told(s: Seen) -> dict[str, str | int | None]:
    store: Redis | None = s["redis"]
    told = {
        "redis.role": s["redis.role"],
        "broker_of": store.broker_of if store else None,
        "keys_without_expiry": store.keys_without_expiry if store else None,
    }
    return {name: value for name, value in told.items() if value is not None}
