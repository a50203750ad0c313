"""asyncpg's own connection pool, which the app's code makes. Times are whole seconds.

Silent where the app may use SQLAlchemy: asyncpg is then its driver, and a second pool would take
the connections twice. The last setting's lines to paste hold them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model.connections import Pool
from advisor.rules import database
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Value

SOURCE = "asyncpg: API reference, create_pool"
USUAL = Pool(10, 0)
IDLE_S = 300
INSTALLED = "components.asyncpg.version"
WANTS = tuple(name for name in database.WANTS if name != INSTALLED)
USE = tuple(name for name in database.LIBRARIES if name != INSTALLED)


def _speaks(s: Seen) -> bool:
    """Whether the app runs on an event loop and talks to its database by asyncpg alone."""
    return s["plan.kind"] == "loop" and database.is_asyncpg_alone(s)


def _create_pool(s: Seen, name: str, value: Value) -> str:
    """The call with this setting and the ones before it."""
    prefix = "asyncpg."
    others = {key.removeprefix(prefix): s[key] for key in s if key.startswith(prefix)}
    given = {key: found for key, found in others.items() if found is not None} | {name: value}
    words = ", ".join(f"{key}={found!r}" for key, found in given.items())
    return "\n".join(
        [
            "import asyncpg",
            "",
            "",
            "async def make_pool(dsn):  # awaited once, in the app's lifespan",
            f"    return await asyncpg.create_pool(dsn, {words})",
        ]
    )


@rule(
    "asyncpg.max_size",
    needs=(*database.NEEDS, INSTALLED),
    wants=WANTS,
    unit="connections",
    accepts=Annotated[int, Field(gt=0, le=100_000)],
    default=USUAL.size,
    source=SOURCE,
    applied_by="code",
    optional=True,
)
def max_size(s: Seen) -> Choice | None:
    """All that a worker can use, within its part of what the database takes.

    Its part: what is not reserved, over hosts and workers, and half of that, because a reload
    runs old and new workers side by side. The pool opens beyond `min_size` only as it needs to.
    """
    if not _speaks(s):
        return None
    found = database.share(s, usual=USUAL)
    return Choice(
        found.pool.most,
        found.why,
        binding=database.LIMIT if found.each <= found.pool.most else None,
        confidence=found.confidence,
        inputs=found.inputs,
        paste=_create_pool(s, "max_size", found.pool.most),
    )


@rule(
    "asyncpg.min_size",
    needs=(*database.NEEDS, INSTALLED, "asyncpg.max_size"),
    wants=WANTS,
    unit="connections",
    accepts=Annotated[int, Field(ge=0, le=100_000)],
    default=10,
    source=f"{SOURCE}; a min_size above max_size is refused",
    applied_by="code",
    optional=True,
)
def min_size(s: Seen) -> Choice | None:
    """What is in use at once, opened at start: more than `max_size` is refused by asyncpg."""
    if not _speaks(s):
        return None
    found, most = database.share(s, usual=USUAL), s["asyncpg.max_size"]
    value = min(found.pool.size, most)
    what = "usual" if not found.measured else "in use at once"
    return Choice(
        value,
        f"Opened at start, before the first requests need them: {value} {what}, of {most}.",
        binding="asyncpg.max_size" if value < found.used else None,
        confidence=found.confidence,
        inputs={**found.inputs, "asyncpg.max_size": most},
        paste=_create_pool(s, "min_size", value),
    )


@rule(
    "asyncpg.max_inactive_connection_lifetime",
    needs=("plan.kind", INSTALLED, "asyncpg.max_size"),
    wants=("asyncpg.min_size", *USE),
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=86400)],
    default=IDLE_S,
    source=f"{SOURCE}; asyncpg#989, asyncpg#1268",
    applied_by="code",
    optional=True,
)
def max_inactive_connection_lifetime(s: Seen) -> Choice | None:
    """Asyncpg's five minutes: idle connections are closed, those of `min_size` too.

    So what a rush opened goes back to the database. 0 would keep them for ever, and leave dead
    ones in the pool after a firewall has dropped them.
    """
    if not _speaks(s):
        return None
    return Choice(
        IDLE_S,
        f"What a rush opened, up to {s['asyncpg.max_size']}, is given back after 5 idle minutes.",
        inputs={"asyncpg.max_size": s["asyncpg.max_size"]},
        paste=_create_pool(s, "max_inactive_connection_lifetime", IDLE_S),
    )
