"""Findings about what the chosen settings ask of the host, and what they give."""

from __future__ import annotations

from advisor.model.constraints import BOOT_LIMIT_S
from advisor.quantities import count, duration, rate, size
from advisor.rules.findings.case import Case, Said, finding


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
        {"boot_cpu_s": case.boot_cpu_s, "workers": workers},
        "Import less at start, or run fewer workers.",
    )


@finding("reload-gap", "warning")
def _gap(case: Case) -> Said | None:
    """The chosen server stops before it starts anew, and there is no other host meanwhile.

    Uvicorn reloads with several workers only; Hypercorn joins all workers before it starts the
    next (hypercorn.run).
    """
    server, workers = case.value("server"), case.plan.config.workers
    stops = {
        "uvicorn": workers == 1 and "Uvicorn with one worker cannot reload: it is restarted",
        "hypercorn": "Hypercorn ends every worker before it starts the next",
    }.get(server)
    if not stops or len(case.value("hosts")) > 1:
        return None
    return Said(
        "Nobody serves while a release boots",
        f"{stops}, and one host is all there is; requests wait for about "
        f"{duration(case.boot_cpu_s)} of CPU, in the socket's queue where systemd holds the "
        "socket, else they are refused.",
        {"server": server, "workers": workers, "boot_cpu_s": case.boot_cpu_s},
        "Use Gunicorn, which starts new workers first, or a second host (hosts in advisor.yml).",
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
