"""What can limit an app, one test each: what it looks at, and what it says. Pure.

Each looks at the highest step, adds what it saw to the evidence, and names its limiter or None.
`TESTS` holds them in the order in which they exclude each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.probe.analysis.limiters.processor import (
    client,
    computing,
    cpu,
    one_core_each,
    throttled,
)
from advisor.probe.analysis.limiters.saying import unknown
from advisor.probe.analysis.limiters.waiting import blocked, hidden, pool, slots, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Limiter, Scalar
    from advisor.probe.analysis.observation import Load, Observation


def unseen(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A black box: rates and response times name no limiter."""
    if seen.server is not None:
        return None
    how = "the rate stopped growing" if seen.plateau else f"the rate still grew ({seen.stopped})"
    why = (
        f"{how} at {top.connections} connections; the server's processes cannot be seen from "
        "here, so not what limits them"
    )
    del evidence["server_cpu_cores"], evidence["cpu_left_cores"]
    return unknown(why, evidence)


def growing(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """No plateau, no limiter."""
    if seen.plateau:
        return None
    return unknown(
        f"the rate was still growing at {top.connections} connections ({seen.stopped})", evidence
    )


TESTS: tuple[Callable[[Observation, Load, dict[str, Scalar]], Limiter | None], ...] = (
    client,
    unseen,
    cpu,
    throttled,
    blocked,
    computing,
    growing,
    one_core_each,
    slots,
    tokens,
    hidden,
    pool,
)
