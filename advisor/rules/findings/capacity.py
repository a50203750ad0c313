"""Findings about what stops the app from serving more, as it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.model import connections
from advisor.quantities import count, duration, rate, size
from advisor.rules.findings.case import Case, Said, finding

if TYPE_CHECKING:
    from advisor.model.choose import Plan

# What an even spread would add before it is worth a word: less is a launch's luck.
UNEVEN_RATIO = 0.1
# Seconds in a load step of one to four: the shortest hold that shows in a p99.
THROTTLED_S = 0.05


@finding("event-loop-blocked", "critical")
def _blocked(case: Case) -> Said | None:
    seen = case.measurement
    if seen is None or case.mended is None or seen.limiter.verdict != "event-loop-blocked":
        return None
    blocked = seen.blocked_per_request_s
    took = duration(blocked.value) if blocked else "much of each request"
    where = case.measured("where")
    place = f" It is held at {where}." if where else ""
    line = "" if where else "; py-spy dump --pid names the line"
    return Said(
        "The event loop is blocked",
        f"Each request holds its worker's loop for {took} off the CPU; meanwhile that worker "
        f"serves nobody else.{place} {_outcomes(case.plan, case.mended)}",
        {"blocked_per_request_s": blocked.value if blocked else None, "where": where},
        "Await the call (an async client, or asyncio.to_thread), or make the route a plain "
        f"def{line}.",
    )


@finding("app-limit", "warning")
def _app_limit(case: Case) -> Said | None:
    """A limit that only the app's code can raise; no prediction counts on its being raised."""
    held, tokens = case.measured("in_service_per_worker"), case.measured("tokens")
    if case.mended is None or not isinstance(held, int | float):
        return None
    outcomes = _outcomes(case.plan, case.mended)
    if tokens is not None:
        wanted = -(-case.mended.concurrency // case.mended.config.workers)
        return Said(
            f"Each worker runs {tokens} requests at a time",
            f"Routes written as plain def run on AnyIO's {tokens} threads a worker; the "
            f"rest wait in line. {outcomes}",
            {"in_service_per_worker": held, "tokens": tokens},
            "In the app's lifespan: anyio.to_thread.current_default_thread_limiter()"
            f".total_tokens = {wanted}; or make the routes async.",
        )
    others = case.measured("downstream_connections")
    over = f", over {count(others, 'connection')} to others" if others else ""
    return Said(
        f"Each worker takes on {held:g} requests at a time",
        f"A pool or limit in the app is full while CPU is left{over}. {outcomes}",
        {"in_service_per_worker": held, "downstream_connections": others},
        "Raise the pool (SQLAlchemy's pool_size and max_overflow, httpx.Limits, a semaphore) as "
        f"far as what is behind it bears{_borne(case)}.",
    )


def _borne(case: Case) -> str:
    """What the database bears, where that is known."""
    most = case.value("database.max_connections")
    if most is None:
        return ""
    hosts, workers = max(1, len(case.value("hosts"))), case.plan.config.workers
    each = connections.per_worker(most, case.value("database.reserved") or 0, hosts, workers)
    return f": the database {count(each, 'connection')} a worker"


@finding("downstream-limit", "warning")
def _downstream(case: Case) -> Said | None:
    seen = case.measurement
    if seen is None or seen.limiter.verdict != "downstream":
        return None
    knee = seen.throughput.knee_rps
    at = f" at {rate(knee.value)}" if knee else ""
    return Said(
        "What the app calls is the limit",
        f"The rate stops growing{at} while CPU is left, and the app's requests to others take "
        "longer the more there are; neither workers nor threads mend that.",
        {
            "downstream_connections": case.measured("downstream_connections"),
            "knee_rps": knee.value if knee else None,
        },
        "Look at what stands behind the app: its slow queries, its own pool, its CPU; or ask it "
        "less often (a cache).",
    )


@finding("uneven-workers", "warning")
def _uneven(case: Case) -> Said | None:
    """As `Balance` says it: what an even spread would add, where the busiest was the limit."""
    seen = case.measurement.balance if case.measurement else None
    if seen is None or seen.lost_ratio < UNEVEN_RATIO:
        return None
    return Said(
        "The work falls unevenly on the workers",
        f"The busiest did {seen.busiest_ratio:.0%} of the work, where an even share is "
        f"{seen.even_ratio:.0%}; an even spread would serve {seen.lost_ratio:.0%} more.",
        {
            "busiest_ratio": seen.busiest_ratio,
            "even_ratio": seen.even_ratio,
            "lost_ratio": seen.lost_ratio,
        },
        "A kept-alive connection stays with the worker that took it: serve through a proxy that "
        "keeps connections to the app, and measure through it.",
    )


@finding("cpu-throttled", "warning")
def _throttled(case: Case) -> Said | None:
    held = case.measured("throttled_s")
    if case.measurement is None or not isinstance(held, int | float) or held < THROTTLED_S:
        return None
    quota = case.facts.cpu.effective
    full = case.measurement.limiter.verdict == "cpu"
    used = "all of it was used" if full else "less than it was used on average: bursts run into it"
    return Said(
        "A CPU quota holds the app back",
        f"The kernel held it back for {duration(held)} in one step of load; the quota is "
        f"{count(quota, 'CPU')}, and {used}.",
        {"throttled_s": held, "cpu.effective": quota, "cpu.binding": case.facts.cpu.binding},
        "Raise the quota (systemd's CPUQuota, a container's CPU limit), or run no more workers "
        "than it has CPUs.",
        "info" if full else None,
    )


def _outcomes(plan: Plan, mended: Plan) -> str:
    return f"As it is: {_outcome(plan)}; once mended: {_outcome(mended)}."


def _outcome(plan: Plan) -> str:
    rps = f", {rate(plan.throughput.value)}" if plan.throughput else ""
    return f"{count(plan.config.workers, 'worker')}{rps} and {size(plan.memory.value)}"
