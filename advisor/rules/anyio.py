"""AnyIO's threads for plain `def` routes, which the app's code sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model import connections
from advisor.quantities import count, size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Limiter
    from advisor.model.choose import Plan

USUAL = 40
MOST = 1024
# An idle thread's stack takes 18 KB; one that has served requests several times that.
THREAD_BYTES = 128 * 1024


@rule(
    "anyio.tokens",
    needs=("limiter", "plan", "plan.kind", "plan.workers", "plan.concurrency"),
    wants=(
        *("plan.mended", "plan.budget_bytes", "hosts"),
        *("database.max_connections", "database.reserved"),
    ),
    unit="threads",
    accepts=Annotated[int, Field(gt=0, le=MOST)],
    default=USUAL,
    source="AnyIO: docs, Working with threads, Adjusting the default maximum worker thread count; "
    "Starlette: docs, Thread Pool",
    applied_by="code",
    optional=True,
)
def tokens(s: Seen) -> Choice | None:
    """Threads for every request in flight, where the 40 of each worker were measured as the limit.

    Never fewer than 40, and no more than the memory that the plan leaves holds (128 KB each, twice
    in a reload) or than a worker may have connections to the database: a thread that waits for
    one is no gain. Silent unless a measurement saw the limit: threads are no good by themselves.
    """
    limiter: Limiter = s["limiter"]
    if s["plan.kind"] != "loop" or "tokens" not in limiter.evidence:
        return None
    plan: Plan = s["plan.mended"] or s["plan"]
    wanted = -(-plan.concurrency // plan.config.workers)
    caps = {"limit": MOST, **_caps(s)}
    binding, most = min(caps.items(), key=lambda cap: cap[1])
    value = max(USUAL, min(wanted, most))
    in_flight = f"{plan.concurrency} requests in flight on {count(plan.config.workers, 'worker')}"
    if wanted > most:
        limits = {
            "memory": f"the memory that is left holds {most} a worker ({size(THREAD_BYTES)} each)",
            "database.max_connections": f"the database has {count(most, 'connection')} a worker",
            "limit": f"more than {MOST} threads take turns rather than wait",
        }
        stays = f"; AnyIO's {USUAL} stay" if value > most else ""
        why = f"{in_flight} would use {wanted} each, but {limits[binding]}{stays}."
    elif value > wanted:
        why = f"AnyIO's own: {in_flight} are {wanted} each, where they spread evenly."
    else:
        why = f"{in_flight}, {wanted} each; AnyIO's {USUAL} were all in use as it was measured."
    return Choice(
        value,
        why,
        binding=binding if wanted > most else "concurrency",
        confidence="medium",
        inputs={
            "plan.concurrency": plan.concurrency,
            "plan.workers": plan.config.workers,
            "in_service_per_worker": limiter.evidence.get("in_service_per_worker"),
        },
        paste=PASTE.format(value=value),
    )


def _caps(s: Seen) -> dict[str, int]:
    """Threads that the memory and the database bear in each worker, where they are known."""
    plan: Plan = s["plan"]
    found = {}
    if s["plan.budget_bytes"] is not None:
        room = max(0, s["plan.budget_bytes"] - plan.needed_bytes)
        found["memory"] = room // (connections.SURGE * max(1, s["plan.workers"]) * THREAD_BYTES)
    if s["database.max_connections"] is not None:
        found["database.max_connections"] = connections.per_worker(
            s["database.max_connections"],
            s["database.reserved"] or 0,
            len(s["hosts"] or []),
            s["plan.workers"],
        )
    return found


PASTE = """\
from contextlib import asynccontextmanager

import anyio.to_thread


@asynccontextmanager
async def lifespan(app):
    anyio.to_thread.current_default_thread_limiter().total_tokens = {value}
    yield


# FastAPI(lifespan=lifespan); in a lifespan that is there already, the one line."""
