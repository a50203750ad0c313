"""The limiter: what would have to change for the app to serve more. Pure.

The tests of `limiters` name one in turn; what nothing fits is unknown, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.probe.analysis.limiters import TESTS
from advisor.probe.analysis.limiters.saying import unknown

if TYPE_CHECKING:
    from advisor.documents import Limiter, Scalar
    from advisor.probe.analysis.observation import Load, Observation

MAX_ERRORS = 0.01
MAX_STEAL = 0.02


def judge(seen: Observation) -> Limiter:
    """The verdict on what a probe saw."""
    top = seen.knee or (seen.steps[-1] if seen.steps else None)
    if top is None:
        return unknown("there was no time for a single step of load", {})
    evidence = _evidence(seen, top)
    if (why := _disturbed(seen, top)) is not None:
        return unknown(why, evidence)
    for test in TESTS:
        if (limiter := test(seen, top, evidence)) is not None:
            return limiter
    return unknown(
        f"the rate stopped growing at {top.connections} connections with CPU left, and nothing "
        "that was seen explains it",
        evidence,
    )


def _evidence(seen: Observation, top: Load) -> dict[str, Scalar]:
    return {
        "server_cpu_cores": round(top.server_cores, 3),
        "cpu_left_cores": round(seen.cpu_left(top), 3),
        "connections": top.connections,
    }


def _disturbed(seen: Observation, top: Load) -> str | None:
    """Why no conclusion can be drawn at all."""
    if seen.changed:
        return seen.changed
    if seen.no_knee:
        return seen.no_knee
    if top.steal_cores > MAX_STEAL * seen.host_cores:
        return f"the hypervisor took {top.steal_cores:.2f} cores away under way (steal)"
    if top.error_ratio > MAX_ERRORS:
        return f"{top.error_ratio:.0%} of the requests at {top.connections} connections failed"
    return None
