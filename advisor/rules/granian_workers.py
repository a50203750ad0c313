"""Granian's workers as processes: how they are replaced, and when they are renewed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.quantities import duration, size
from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import (
    FEWEST_REQUESTS,
    LEAK,
    boot_s,
    drain,
    growth,
    room_bytes,
    served_by,
    two_digits,
    where_able,
)

if TYPE_CHECKING:
    from advisor.model.choose import Plan

Interval = Annotated[int | float, Field(ge=0, le=600)] | None
KillSeconds = Annotated[int, Field(gt=0, le=1800)] | None
Lifetime = Annotated[int, Field(ge=60)] | None
Mebibytes = Annotated[int, Field(gt=0, le=1_000_000)] | None

MIB = 1024**2
RESPAWN_S = 3.5
# Granian takes no shorter life.
SHORTEST_LIFE_S = 60

granian = served_by("granian")


@granian(
    "respawn_failed_workers",
    wants=("can.granian.respawn_failed_workers",),
    accepts=bool | None,
    default=False,
    source="granian#181",
)
def respawn_failed_workers(s: Seen) -> Choice | None:
    """On: else the whole server exits when one worker is killed."""
    choice = Choice(True, "Else the whole server exits when one worker is killed.")
    return where_able(s, "granian.respawn_failed_workers", choice)


@granian(
    "respawn_interval",
    needs=("plan.basis",),
    unit="s",
    accepts=Interval,
    default=RESPAWN_S,
    source="granian: README, respawn_interval; server/common.py, the old worker then stops",
)
def respawn_interval(s: Seen) -> Choice:
    """Longer than a worker takes to boot: on a reload the old one stops after this time."""
    boot = boot_s(s)
    if boot <= RESPAWN_S:
        return Choice(RESPAWN_S, f"Granian's own {RESPAWN_S} s are enough to boot in.", inputs={})
    return Choice(
        math.ceil(boot),
        f"Four times the CPU a worker takes to boot ({duration(boot / 4)}): a reload stops the old "
        "one after this time, ready or not.",
        binding="boot_cpu",
        confidence="medium",
        inputs={"boot_cpu_s": boot / 4},
    )


@granian(
    "workers_kill_timeout",
    wants=("latency_s.p99", "can.granian.workers_kill_timeout"),
    unit="s",
    accepts=KillSeconds,
    source="granian#435",
)
def workers_kill_timeout(s: Seen) -> Choice | None:
    """As long as requests take; without it a worker that does not stop is waited for for ever."""
    return where_able(s, "granian.workers_kill_timeout", drain(s))


@granian(
    "workers_max_rss",
    needs=("plan", "plan.budget_bytes"),
    wants=(*LEAK, "can.granian.workers_max_rss"),
    accepts=Mebibytes,
    source="granian#640; growth as measured",
)
def workers_max_rss(s: Seen) -> Choice | None:
    """Off unless growth is evidenced; then MiB of RSS at which a worker is renewed; from 2.5 on.

    RSS counts shared pages in full, so it is taken for all that is shared, one worker's own and
    its part of what the budget leaves.
    """
    leak = growth(s)
    if leak is None:
        return Choice(None, "Workers are not renewed: no memory growth was measured.", inputs={})
    plan: Plan = s["plan"]
    one_more = plan.more.memory_bytes - plan.memory.value if plan.more else 0
    own = plan.memory.value - (plan.config.workers - 1) * max(0, one_more)
    most = own + max(room_bytes(s), FEWEST_REQUESTS * leak.high)
    choice = Choice(
        math.ceil(most / MIB),
        f"The app grows by {size(leak.value * 1000)} in 1,000 requests; a worker of more than "
        f"{size(most)} (the value is MiB) is renewed.",
        binding="memory",
        confidence="medium",
        inputs={"memory_growth_bytes_per_request": leak.value, "own_bytes": int(own)},
    )
    return where_able(s, "granian.workers_max_rss", choice)


@granian(
    "workers_lifetime",
    needs=("plan", "plan.budget_bytes"),
    wants=(*LEAK, "can.granian.workers_max_rss", "can.granian.workers_lifetime"),
    unit="s",
    accepts=Lifetime,
    source="granian#372; growth and throughput as measured",
)
def workers_lifetime(s: Seen) -> Choice | None:
    """The time in which a growing app at full load would use the budget up, before 2.5 alone.

    From 2.5 on `workers_max_rss` looks at the memory itself.
    """
    leak, served = growth(s), s["plan"].throughput
    if leak is None or served is None or s["can.granian.workers_max_rss"] is not False:
        return None
    room = max(room_bytes(s), FEWEST_REQUESTS * leak.high)
    seconds = room / leak.high / (served.high / s["plan"].config.workers)
    choice = Choice(
        max(SHORTEST_LIFE_S, two_digits(max(1.0, seconds))),
        f"The app grows by {size(leak.value * 1000)} in 1,000 requests; a worker is renewed before "
        "the budget is used up at full load.",
        binding="memory",
        confidence="medium",
        inputs={"memory_growth_bytes_per_request": leak.value},
    )
    return where_able(s, "granian.workers_lifetime", choice)
