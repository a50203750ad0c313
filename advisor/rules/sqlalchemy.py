"""SQLAlchemy's connection pool, which the app's code sets. Times are whole seconds.

The lines to paste grow from setting to setting: the last holds them all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model.connections import Pool
from advisor.quantities import duration
from advisor.rules import database
from advisor.rules.registry import Choice, Seen, rule
from advisor.rules.versions import parse

if TYPE_CHECKING:
    from advisor.documents import Estimate, Value

SOURCE = "SQLAlchemy: docs, Connection Pooling"
USUAL = Pool(5, 10)
INSTALLED = (*database.LIBRARIES, database.LIMIT)
Connections = Annotated[int, Field(gt=0, le=100_000)]
Overflow = Annotated[int, Field(ge=0, le=100_000)]
Seconds = Annotated[int, Field(gt=0, le=86400)]

# How long to wait for a connection against the 99th percentile of a whole request.
MARGIN = 4
SHORTEST_S, USUAL_S = 5, 30
RECYCLE_S = 3600


def _speaks(s: Seen) -> bool:
    """Whether the app has SQLAlchemy, or at least a database that nothing else is seen to use."""
    is_there = s["components.sqlalchemy.version"] is not None or s[database.LIMIT] is not None
    return is_there and not database.is_asyncpg_alone(s)


def _engine(s: Seen, name: str, value: Value) -> str:
    """The call with this setting and the ones before it."""
    prefix = "sqlalchemy."
    others = {key.removeprefix(prefix): s[key] for key in s if key.startswith(prefix)}
    given = {key: found for key, found in others.items() if found is not None} | {name: value}
    return "\n".join(
        [
            "from sqlalchemy import create_engine  # create_async_engine takes the same",
            "",
            "engine = create_engine(",
            "    url,",
            *(f"    {key}={found!r}," for key, found in given.items()),
            ")",
        ]
    )


@rule(
    "sqlalchemy.pool_size",
    needs=database.NEEDS,
    wants=database.WANTS,
    unit="connections",
    accepts=Connections,
    default=USUAL.size,
    source=SOURCE,
    applied_by="code",
    optional=True,
)
def pool_size(s: Seen) -> Choice | None:
    """As many connections as a worker uses at once, within its part of what the database takes.

    That is one for a worker that serves one request at a time, one a thread, or the requests in
    service by Little's law. Its part: what is not reserved, over hosts and workers, and half of
    that, because a reload runs old and new workers side by side.
    """
    if not _speaks(s):
        return None
    found = database.share(s, usual=USUAL)
    return Choice(
        found.pool.size,
        found.why,
        binding=found.binding,
        confidence=found.confidence,
        inputs=found.inputs,
        paste=_engine(s, "pool_size", found.pool.size),
    )


@rule(
    "sqlalchemy.max_overflow",
    needs=(*database.NEEDS, "sqlalchemy.pool_size"),
    wants=database.WANTS,
    unit="connections",
    accepts=Overflow,
    default=USUAL.overflow,
    source=SOURCE,
    applied_by="code",
    optional=True,
)
def max_overflow(s: Seen) -> Choice | None:
    """What is left of the worker's part, as far as it can use it; none where nothing is left."""
    if not _speaks(s):
        return None
    found, size = database.share(s, usual=USUAL), s["sqlalchemy.pool_size"]
    value = max(0, found.pool.most - size)
    whole = f"{size} and {value} are {size + value}"
    why = (
        f"For moments of more load: {whole} of the {found.each} that are a worker's part."
        if value
        else f"None: the pool of {size} is all that a worker can use or have."
    )
    return Choice(
        value,
        why,
        binding=database.LIMIT if found.each <= size + value else None,
        confidence=found.confidence,
        inputs={**found.inputs, "sqlalchemy.pool_size": size},
        paste=_engine(s, "max_overflow", value),
    )


@rule(
    "sqlalchemy.pool_timeout",
    needs=("sqlalchemy.pool_size",),
    wants=(
        *("latency_s.p99", "nginx.proxy_read_timeout", "sqlalchemy.max_overflow"),
        *INSTALLED,
    ),
    unit="s",
    accepts=Seconds,
    default=USUAL_S,
    source=SOURCE,
    applied_by="code",
    optional=True,
)
def pool_timeout(s: Seen) -> Choice | None:
    """Four times the measured p99, 5 to 30 s, and at most half of what the proxy waits.

    Who has waited so long for a connection waits behind requests that are stuck: an error now
    keeps the queue from growing, and comes before the proxy's own.
    """
    if not _speaks(s):
        return None
    p99: Estimate | None = s["latency_s.p99"]
    proxy: int | None = s["nginx.proxy_read_timeout"]
    patience = max(1, proxy // 2) if proxy else USUAL_S
    ample = max(SHORTEST_S, min(USUAL_S, math.ceil(MARGIN * p99.high))) if p99 else USUAL_S
    value = min(ample, patience)
    why = "SQLAlchemy's own: how long a request waits for a connection was not measured."
    binding = None
    if value < ample:
        why = f"Half of the {proxy} s that nginx waits: the other half is the request's own."
        binding = "nginx.proxy_read_timeout"
    elif p99:
        why = (
            f"A whole request takes {duration(p99.value)} at p99; who waits for {value} s for a "
            "connection waits behind stuck ones."
        )
        binding = "latency_s.p99"
    return Choice(
        value,
        why,
        binding=binding,
        confidence="medium" if p99 else "low",
        inputs={
            name: found
            for name, found in (
                ("latency_s.p99", p99.value if p99 else None),
                ("nginx.proxy_read_timeout", proxy),
            )
            if found is not None
        },
        paste=_engine(s, "pool_timeout", value),
    )


@rule(
    "sqlalchemy.pool_recycle",
    needs=("sqlalchemy.pool_size",),
    wants=("sqlalchemy.max_overflow", "sqlalchemy.pool_timeout", *INSTALLED),
    unit="s",
    accepts=Annotated[int, Field(ge=-1, le=86400 * 30)],
    default=-1,
    source=f"{SOURCE}, Setting Pool Recycle; MySQL: wait_timeout",
    applied_by="code",
    optional=True,
)
def pool_recycle(s: Seen) -> Choice | None:
    """An hour, far below the eight after which MySQL closes an idle connection by itself.

    The database is not known here; where one keeps idle connections for ever, opening anew once
    an hour costs nothing that can be measured.
    """
    if not _speaks(s):
        return None
    return Choice(
        RECYCLE_S,
        "An hour: MySQL closes idle connections after eight, firewalls often sooner.",
        confidence="medium",
        inputs={},
        paste=_engine(s, "pool_recycle", RECYCLE_S),
    )


@rule(
    "sqlalchemy.pool_pre_ping",
    needs=("sqlalchemy.pool_size",),
    wants=(
        *("sqlalchemy.max_overflow", "sqlalchemy.pool_timeout", "sqlalchemy.pool_recycle"),
        *("wait_per_request_s", *INSTALLED),
    ),
    accepts=bool,
    default=False,
    source=f"{SOURCE}, Disconnect Handling; pool_pre_ping is there from 1.2 on",
    applied_by="code",
    optional=True,
)
def pool_pre_ping(s: Seen) -> Choice | None:
    """On: a connection that died in the pool is replaced, where it would be somebody's error.

    It costs one exchange with the database each time a connection is taken. Older than 1.2
    knows it not; where the version is not known it is taken for newer (2018).
    """
    if not _speaks(s):
        return None
    version = parse(s["components.sqlalchemy.version"] or "")
    if version is not None and version < (1, 2):
        return None
    wait: Estimate | None = s["wait_per_request_s"]
    beside = f", beside the {duration(wait.value)} that a request waits as it is" if wait else ""
    return Choice(
        True,
        "A restart of the database fails no request that has yet to begin; it costs one exchange "
        f"each time{beside}.",
        inputs={"wait_per_request_s": wait.value} if wait else {},
        paste=_engine(s, "pool_pre_ping", value=True),
    )
