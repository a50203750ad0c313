"""The limiter under real traffic, as far as watching can tell. Pure.

An app that is not at its limit has no limiter; what nothing fits is unknown, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.probe.analysis.limiters.processor import SATURATED
from advisor.probe.analysis.limiters.saying import limiter, unknown
from advisor.probe.analysis.limiters.waiting import waits_outside
from advisor.probe.analysis.verdict import MAX_ERRORS, MAX_STEAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Limiter, Scalar
    from advisor.probe.passive.seen import Seen

ONE_CORE = 0.85
MAX_THROTTLED = 0.05


def judge(seen: Seen) -> Limiter:
    """The verdict on what an observation saw."""
    evidence: dict[str, Scalar] = {"requests_per_s": round(seen.rate_rps, 3)}
    if seen.server is None:
        return unknown("the server's processes are not known", evidence)
    _, busiest = seen.busiest
    left = seen.cpu_left
    evidence |= {
        "server_cpu_cores": round(seen.load.server_cores, 4),
        "cpu_left_cores": round(left, 3),
        "utilisation_ratio": round(seen.load.server_cores / left, 4) if left else None,
        "busiest_worker_ratio": round(busiest, 4),
    }
    if seen.slots_ratio is not None:
        evidence["slots_ratio"] = round(seen.slots_ratio, 4)
    if (why := _disturbed(seen)) is not None:
        return unknown(why, evidence)
    for test in _TESTS:
        if (found := test(seen, evidence)) is not None:
            return found
    return unknown(_not_at_its_limit(seen), evidence)


def _not_at_its_limit(seen: Seen) -> str:
    if seen.slots_ratio is not None and seen.slots_ratio >= SATURATED:
        return (
            f"{seen.slots_ratio:.1f} requests were at the app for each of its slots (workers x "
            "threads), with CPU left: whether more slots would serve more, watching cannot tell"
        )
    used = seen.load.server_cores / seen.cpu_left if seen.cpu_left else 0.0
    used = max(used, seen.busiest[1], seen.slots_ratio or 0.0)
    return f"the app was not at its limit: utilisation was {used:.0%}"


def _disturbed(seen: Seen) -> str | None:
    load = seen.load
    if seen.changed:
        return seen.changed
    if load.steal_cores > MAX_STEAL * seen.room.host_cores:
        return f"the hypervisor took {load.steal_cores:.2f} cores away under way (steal)"
    if load.error_ratio > MAX_ERRORS:
        return f"{load.error_ratio:.0%} of the requests failed (5xx)"
    return None


def _cpu(seen: Seen, evidence: dict[str, Scalar]) -> Limiter | None:
    left, used = seen.cpu_left, seen.load.server_cores
    if seen.load.throttled_s:
        evidence["throttled_s"] = round(seen.load.throttled_s, 3)
    if not left or used < SATURATED * left:
        return None
    why = f"the workers used {used:.2f} of the {left:.2f} cores left to them"
    # Less sure than a probe, which sees the rate stop growing.
    return limiter("cpu", min(1.0, used / left) * 0.75, why, evidence)


def _throttled(seen: Seen, evidence: dict[str, Scalar]) -> Limiter | None:
    if seen.load.throttled_s < MAX_THROTTLED * seen.load.seconds:
        return None
    return unknown(
        f"a CPU quota held the server back for {seen.load.throttled_s:.1f} s, though it used "
        "less than the quota on average",
        evidence,
    )


def _blocked(seen: Seen, evidence: dict[str, Scalar]) -> Limiter | None:
    """An event loop whose thread is in use, most of it waiting outside its selector."""
    pid, _ = seen.busiest
    waits = seen.load.waits
    if seen.event_loops is None or pid is None or waits is None or not waits.readable:
        return None
    found = waits_outside(seen.load, pid, evidence)
    return limiter("event-loop-blocked", found.sure, found.why, evidence) if found else None


def _one_core_each(seen: Seen, evidence: dict[str, Scalar]) -> Limiter | None:
    """A Python process computes on one core at a time: its interpreter lock is a slot."""
    workers = seen.server.workers if seen.server else []
    full = [w for w in workers if seen.load.cores_of(w.pid) >= ONE_CORE]
    if not full:
        return None
    evidence |= {"busy_workers": len(full), "workers": len(workers)}
    if len(full) < len(workers):
        why = (
            f"{len(full)} of {len(workers)} workers are busy all the time while others idle: "
            "kept-alive connections pin the work to them"
        )
        return limiter("concurrency", 0.6, why, evidence)
    many = "its one worker" if len(full) == 1 else f"each of the {len(full)} workers"
    left = seen.cpu_left - seen.load.server_cores
    why = f"{many} fills one core and {left:.1f} more are left: more workers would use them"
    return limiter("concurrency", 0.75, why, evidence)


_TESTS: tuple[Callable[[Seen, dict[str, Scalar]], Limiter | None], ...] = (
    _cpu,
    _throttled,
    _blocked,
    _one_core_each,
)
