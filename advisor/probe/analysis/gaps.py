"""What a probe could not tell, why, and what would. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown

if TYPE_CHECKING:
    from advisor.documents import Estimate, Limiter
    from advisor.probe.analysis.observation import Load, Observation

TRUSTED_WIDTH = 0.1
BUSY_HOST_CORES = 0.1
LATE_RATIO = 0.05


def gaps(
    seen: Observation,
    top: Load | None,
    *,
    demand: Estimate | None,
    blocked: Estimate | None,
    limiter: Limiter,
) -> list[Unknown]:
    """Every conclusion that the probe does not carry."""
    found = [
        _processes(seen) if seen.server is None else _demand(demand),
        _blocked(seen, blocked),
        _limiter(seen, limiter),
        _quiet(top),
        _open_loop(seen),
    ]
    return [gap for gap in found if gap]


def _processes(_seen: Observation) -> Unknown:
    return Unknown(
        what="cpu_per_request_s, waiting, the limiter, the workers and their memory",
        why="the server's processes are not known: rates and response times are all there is",
        remedy="run on the server's host as root, or give --pid",
    )


def _demand(demand: Estimate | None) -> Unknown | None:
    if demand is None:
        return Unknown(
            what="cpu_per_request_s",
            why="too few requests were answered",
            remedy="probe a faster route",
        )
    width = max(demand.high - demand.value, demand.value - demand.low)
    if width <= TRUSTED_WIDTH * demand.value:
        return None
    return Unknown(
        what="cpu_per_request_s within 10 %",
        why=f"the interval is +-{width / demand.value:.0%}: other load, or little CPU a request"
        if demand.value
        else "the interval is wider: other load, or few requests",
        remedy="probe again when the host is quiet",
    )


def _blocked(seen: Observation, blocked: Estimate | None) -> Unknown | None:
    if not seen.event_loops or blocked is not None:
        return None
    return Unknown(
        what="blocked_per_request_s",
        why="what the workers wait for is hidden from this user",
        remedy="run as root, or as the server's user",
    )


def _limiter(seen: Observation, limiter: Limiter) -> Unknown | None:
    if limiter.verdict != "unknown" or seen.server is None:
        return None
    alone = "probe a copy that nobody uses, or add --saturate if this app may be loaded"
    quiet = "probe again when the host is quiet"
    return Unknown(what="limiter", why=limiter.why, remedy=alone if seen.no_knee else quiet)


def _quiet(top: Load | None) -> Unknown | None:
    if top is None or top.others_cores < BUSY_HOST_CORES:
        return None
    return Unknown(
        what="the app on a quiet host",
        why=f"other processes used {top.others_cores:.2f} cores meanwhile, and share its caches",
        remedy="probe again when they are done, if they are not always there",
    )


def _open_loop(seen: Observation) -> Unknown | None:
    if seen.open_load is None:
        if seen.knee is None:
            return None
        return Unknown(
            what="response times at half the knee",
            why="too few requests fit into the time that was left",
            remedy="probe a faster route",
        )
    late = seen.open_load.late / max(1, seen.open_load.offered)
    if late <= LATE_RATIO:
        return None
    return Unknown(
        what="response times at half the knee",
        why=f"the generator sent {late:.0%} of the requests late: it had no CPU for them",
        remedy="probe from another host (--remote), or trust the order of magnitude only",
    )
