"""Limits of the app's unit and its socket. Sizes are bytes, times whole seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.quantities import size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.model.choose import Plan

Bytes = Annotated[int, Field(gt=0)] | None
Descriptors = Annotated[int, Field(ge=64, le=2**30)] | None
Seconds = Annotated[int, Field(gt=0, le=86400)] | None
Queue = Annotated[int, Field(gt=0, le=65535)] | None

# Gunicorn's default worker_connections: what a threaded or event-loop worker may hold.
WORKER_CONNECTIONS = 1000
PAGE = 4096


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
    "systemd.limit_nofile",
    needs=("gunicorn.worker_class", "gunicorn.threads", "plan"),
    accepts=Descriptors,
    source="gunicorn: settings, worker_connections; systemd.exec(5), LimitNOFILE",
)
def limit_nofile(s: Seen) -> Choice:
    """Two descriptors a connection (the client's, and one of the app's own), and some spare."""
    plan: Plan = s["plan"]
    held = 1
    if s["gunicorn.worker_class"] != "sync":
        held = max(WORKER_CONNECTIONS, s["gunicorn.threads"], plan.concurrency)
    value = max(1024, 1 << (2 * held + 256 - 1).bit_length())
    return Choice(
        value,
        f"A worker holds up to {held:,} connections, and may open as many itself.",
        inputs={"connections": held},
    )


@rule(
    "systemd.timeout_stop_sec",
    needs=("gunicorn.graceful_timeout",),
    unit="s",
    accepts=Seconds,
    default=90,
    source="systemd.service(5), TimeoutStopSec; gunicorn's sample unit has 5 s against 30 s",
)
def timeout_stop_sec(s: Seen) -> Choice:
    """Longer than the graceful timeout, or systemd kills what may still finish."""
    graceful = s["gunicorn.graceful_timeout"]
    return Choice(
        graceful + 10,
        f"Longer than Gunicorn's graceful timeout ({graceful} s), which it would cut short.",
        binding="gunicorn.graceful_timeout",
    )


@rule(
    "systemd.socket_backlog",
    needs=("gunicorn.backlog",),
    unit="connections",
    accepts=Queue,
    default=4096,
    source="systemd.socket(5), Backlog: the unit makes the socket, so its queue counts",
)
def socket_backlog(s: Seen) -> Choice:
    """Gunicorn's backlog: under socket activation the unit makes the queue."""
    return Choice(
        s["gunicorn.backlog"],
        "As Gunicorn's: systemd makes the socket, so its value is the one that counts.",
        binding="gunicorn.backlog",
    )
