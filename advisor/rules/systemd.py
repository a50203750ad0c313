"""What the app's unit may use: memory, CPU, tasks, descriptors. Sizes are bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model.sharing import WEB_WEIGHT
from advisor.quantities import size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.model.choose import Plan
    from advisor.model.sharing import Shares

Bytes = Annotated[int, Field(gt=0)] | None
Descriptors = Annotated[int, Field(ge=64, le=2**30)] | None
Tasks = Annotated[int, Field(ge=16, le=2**22)] | None
Weight = Annotated[int, Field(ge=1, le=10000)] | None
Percent = Annotated[int, Field(gt=0, le=1_000_000)] | None

# Gunicorn's default worker_connections, and what an event-loop worker is taken to hold.
WORKER_CONNECTIONS = 1000
PAGE = 4096
# AnyIO's limiter of one worker, and asyncio's own pool: min(32, CPUs + 4) (FACTS).
ANYIO_TOKENS, ASYNCIO_THREADS = 40, 32
# The master, a reload's check, and whatever the app starts for a moment.
SPARE_TASKS = 16


@rule(
    "systemd.memory_max",
    needs=("plan", "plan.budget_bytes", "plan.basis"),
    unit="bytes",
    accepts=Bytes,
    source="systemd.resource-control(5), MemoryMax; PSS from smaps_rollup",
)
def memory_max(s: Seen) -> Choice:
    """The budget: a leak then takes this app down, and not the host.

    Never below what the workers and those of a reload beside them are predicted to need.
    """
    plan: Plan = s["plan"]
    value = max(s["plan.budget_bytes"] // PAGE, -(-plan.needed_bytes // PAGE)) * PAGE
    return Choice(
        value,
        "The memory budget: a leak ends the app, and not the host.",
        binding="memory",
        confidence=s["plan.basis"].confidence,
        inputs={
            "memory_budget_bytes": s["plan.budget_bytes"],
            "memory_budget_source": s["plan.basis"].budget_source,
            "needed_bytes": plan.needed_bytes,
        },
    )


@rule(
    "systemd.memory_high",
    needs=("plan", "plan.basis", "systemd.memory_max"),
    unit="bytes",
    accepts=Bytes,
    source="systemd.resource-control(5), MemoryHigh",
)
def memory_high(s: Seen) -> Choice:
    """Nine tenths of the maximum: the kernel reclaims before it kills."""
    plan: Plan = s["plan"]
    most = s["systemd.memory_max"]
    value = min(most, max(most * 9 // 10 // PAGE, -(-plan.needed_bytes // PAGE)) * PAGE)
    return Choice(
        value,
        f"Reclaim starts here, before the limit kills; {size(plan.needed_bytes)} are needed.",
        binding="systemd.memory_max",
        confidence=s["plan.basis"].confidence,
        inputs={"systemd.memory_max": most, "needed_bytes": plan.needed_bytes},
    )


@rule(
    "systemd.cpu_weight",
    needs=("shares",),
    accepts=Weight,
    default=100,
    source="systemd.resource-control(5), CPUWeight",
    optional=True,
)
def cpu_weight(s: Seen) -> Choice | None:
    """The 100 that background work is weighed against; silent where none computes."""
    shares: Shares = s["shares"]
    if shares.cpu_weight is None:
        return None
    return Choice(
        WEB_WEIGHT,
        f"Beside background work's {shares.cpu_weight}: requests keep {shares.web_cores:.3g} CPUs "
        "while both want them, and either has all that the other leaves.",
        inputs={"background_cpu_weight": shares.cpu_weight},
    )


@rule(
    "systemd.cpu_quota",
    needs=("budget.cpus",),
    accepts=Percent,
    source="systemd.resource-control(5), CPUQuota",
    optional=True,
)
def cpu_quota(s: Seen) -> Choice:
    """`budget.cpus` in per cent of one CPU, and only where it was given: a quota throttles."""
    cpus = s["budget.cpus"]
    return Choice(
        max(1, round(100 * cpus)),
        f"budget.cpus: once {100 * cpus:g} ms are used in a period of 100 ms, every worker stands "
        "still until the next, though CPUs be idle.",
        binding="budget.cpus",
        inputs={"budget.cpus": cpus},
    )


@rule(
    "systemd.tasks_max",
    needs=("plan.kind", "plan.workers", "plan.threads", "plan.concurrency"),
    wants=("anyio.tokens", "cpu.logical"),
    accepts=Tasks,
    source="systemd.resource-control(5), TasksMax; AnyIO: 40 tokens; asyncio: min(32, CPUs + 4)",
)
def tasks_max(s: Seen) -> Choice:
    """Twice what the workers and those of a reload may run in threads, as a power of two.

    A worker's threads: those that serve, or an event loop's pools (AnyIO's as large as the
    requests in flight, where the app raises it), and a thread a CPU of native libraries.
    """
    cpus = s["cpu.logical"] or ASYNCIO_THREADS
    tokens = max(s["anyio.tokens"] or ANYIO_TOKENS, s["plan.concurrency"])
    pools = {
        "one": 0,
        "threads": s["plan.threads"],
        "loop": tokens + min(ASYNCIO_THREADS, cpus + 4),
    }
    each = 1 + pools[s["plan.kind"]] + cpus
    most = 2 * s["plan.workers"] * each + SPARE_TASKS
    value = max(256, 1 << (2 * most - 1).bit_length())
    return Choice(
        value,
        f"A worker may run {each} threads, and twice the workers stand during a reload: {most:,}; "
        "with as many to spare, what runs wild ends here.",
        inputs={"threads_per_worker": each, "tasks": most},
    )


@rule(
    "systemd.limit_nofile",
    needs=("plan.kind", "plan.threads", "plan.concurrency"),
    wants=("gunicorn.worker_connections",),
    accepts=Descriptors,
    source="gunicorn: settings, worker_connections; systemd.exec(5), LimitNOFILE",
)
def limit_nofile(s: Seen) -> Choice:
    """Two descriptors a connection (the client's, and one of the app's own), and some spare."""
    held = 1
    if s["plan.kind"] != "one":
        own = s["gunicorn.worker_connections"] or WORKER_CONNECTIONS
        held = max(own, s["plan.threads"], s["plan.concurrency"])
    value = max(1024, 1 << (2 * held + 256 - 1).bit_length())
    return Choice(
        value,
        f"A worker holds up to {held:,} connections, and may open as many itself.",
        inputs={"connections": held},
    )
