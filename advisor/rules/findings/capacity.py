"""Findings about what the app can serve, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.model.constraints import BOOT_LIMIT_S
from advisor.quantities import count, duration, rate, size
from advisor.rules.findings.case import Case, Said, finding

if TYPE_CHECKING:
    from advisor.model.choose import Plan


@finding("event-loop-blocked", "critical")
def _blocked(case: Case) -> Said | None:
    seen = case.measurement
    if seen is None or case.mended is None or seen.limiter.verdict != "event-loop-blocked":
        return None
    blocked = seen.blocked_per_request_s
    took = duration(blocked.value) if blocked else "much of each request"
    return Said(
        "The event loop is blocked",
        f"Each request holds its worker's loop for {took} off the CPU; meanwhile that worker "
        f"serves nobody else. As it is: {_outcome(case.plan)}; once mended: "
        f"{_outcome(case.mended)}.",
        {"blocked_per_request_s": blocked.value if blocked else None},
        "Await the call (an async client, or asyncio.to_thread), or make the route a plain "
        "def; py-spy dump --pid names the line.",
    )


@finding("app-limit", "warning")
def _app_limit(case: Case) -> Said | None:
    """A limit that only the app's code can raise; no prediction counts on its being raised."""
    seen = case.measurement.limiter.evidence if case.measurement else {}
    held = seen.get("in_service_per_worker")
    if case.mended is None or not isinstance(held, int | float):
        return None
    outcome = f"As it is: {_outcome(case.plan)}; once mended: {_outcome(case.mended)}."
    if "tokens" in seen:
        wanted = -(-case.mended.concurrency // case.mended.config.workers)
        return Said(
            f"Each worker runs {seen['tokens']} requests at a time",
            f"Routes written as plain def run on AnyIO's {seen['tokens']} threads a worker; the "
            f"rest wait in line. {outcome}",
            {"in_service_per_worker": held, "tokens": seen["tokens"]},
            "In the app's lifespan: anyio.to_thread.current_default_thread_limiter()"
            f".total_tokens = {wanted}; or make the routes async.",
        )
    return Said(
        f"Each worker takes on {held:g} requests at a time",
        f"A pool or limit in the app is full while CPU is left. {outcome}",
        {"in_service_per_worker": held},
        "Raise the pool (SQLAlchemy's pool_size and max_overflow, httpx.Limits, a semaphore) as "
        "far as what is behind it bears.",
    )


def _outcome(plan: Plan) -> str:
    rps = f", {rate(plan.throughput.value)}" if plan.throughput else ""
    return f"{count(plan.config.workers, 'worker')}{rps} and {size(plan.memory.value)}"


@finding("targets-not-met", "critical")
def _targets(case: Case) -> Said | None:
    if case.plan.meets_targets is not False or case.plan.throughput is None:
        return None
    wanted = case.value("targets.rate_rps")
    p99 = case.value("targets.p99_s")
    within = f" within {duration(p99)} at p99" if p99 else ""
    return Said(
        "The targets are out of reach",
        f"{rate(wanted)}{within} were asked for; the best that fits gives "
        f"{rate(case.plan.throughput.value)} at {case.plan.concurrency} in flight "
        f"(stopped by: {case.plan.binding}).",
        {"targets.rate_rps": wanted, "targets.p99_s": p99},
        "Lower the targets, raise targets.concurrency, or give more CPU or memory.",
    )


@finding("memory-leak", "warning")
def _leak(case: Case) -> Said | None:
    growth = case.measurement.memory_growth_bytes_per_request if case.measurement else None
    if growth is None or growth.low <= 0:
        return None
    return Said(
        "The app's memory grows",
        f"{size(growth.value * 1000)} in 1,000 requests; max_requests renews workers in time, "
        "but does not mend it.",
        {"memory_growth_bytes_per_request": growth.value},
        "Look for what is kept for ever: caches without a limit, lists at module level.",
    )


@finding("slow-reload", "warning")
def _slow_reload(case: Case) -> Said | None:
    workers = case.plan.config.workers
    seconds = workers * case.boot_cpu_s / min(case.cores, workers)
    if seconds <= BOOT_LIMIT_S:
        return None
    return Said(
        "A reload starves the app",
        f"{count(workers, 'worker')} boot for about {seconds:.0f} s on {case.cores:g} CPUs.",
        {"boot_cpu_s": case.boot_cpu_s, "gunicorn.workers": workers},
        "Import less at start, or run fewer workers.",
    )


@finding("budget-over-host", "warning")
def _over_host(case: Case) -> Said | None:
    cpus, memory = case.facts.cpu.effective, case.facts.memory.effective_bytes
    over = []
    if case.cores > cpus:
        over.append(f"{case.cores:g} CPUs were asked for, {cpus:g} are there")
    if case.budget_bytes > memory:
        over.append(f"{size(case.budget_bytes)} were asked for, {size(memory)} are there")
    if not over:
        return None
    return Said(
        "The budget is more than this host has",
        f"{'; '.join(over)}. The settings are for the budget.",
        {"cpu.effective": cpus, "memory.effective_bytes": memory},
        "Lower the budget, or give the facts of the host it is for (--facts).",
    )
