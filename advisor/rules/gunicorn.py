"""Gunicorn's settings beside class, workers and threads. Times are whole seconds."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.intent import Path
from advisor.quantities import duration, size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Estimate
    from advisor.model.choose import Plan

Seconds = Annotated[int, Field(ge=0, le=86400)] | None
Queue = Annotated[int, Field(gt=0, le=65535)] | None
Requests = Annotated[int, Field(ge=0)] | None

# How much longer than the 99th percentile a request may take before it counts as stuck.
MARGIN = 4


@rule(
    "gunicorn.timeout",
    needs=("gunicorn.worker_class",),
    wants=("latency_s.p99",),
    unit="s",
    accepts=Seconds,
    default=30,
    source="gunicorn: settings, timeout",
)
def timeout(s: Seen) -> Choice:
    """Gunicorn's 30 s, or four times the measured p99 where that is longer.

    Only sync is held to it by a slow request; the other classes send their heartbeat beside
    the request, so there it catches a blocked loop or process.
    """
    p99: Estimate | None = s["latency_s.p99"]
    ample = math.ceil(MARGIN * p99.high / 10) * 10 if p99 else 0
    catches = "a request" if s["gunicorn.worker_class"] == "sync" else "a worker"
    if p99 and ample > 30:
        return Choice(
            ample,
            f"Four times the measured p99 ({duration(p99.value)}), then {catches} counts as stuck.",
            binding="latency_s.p99",
            confidence="medium",
            inputs={"latency_s.p99": p99.value},
        )
    seen = f", {duration(p99.value)} at p99 as measured" if p99 else ""
    return Choice(30, f"After this long {catches} counts as stuck{seen}.")


@rule(
    "gunicorn.graceful_timeout",
    needs=("gunicorn.timeout",),
    unit="s",
    accepts=Seconds,
    default=30,
    source="gunicorn: settings, graceful_timeout",
)
def graceful_timeout(s: Seen) -> Choice:
    """As long as a request may take: what a reload or stop lets run to its end."""
    value = max(30, min(s["gunicorn.timeout"], 300))
    return Choice(value, "Requests in flight may finish on a reload or stop.")


@rule(
    "gunicorn.keepalive",
    needs=(
        "gunicorn.worker_class",
        "nginx.upstream_keepalive",
        "nginx.upstream_keepalive_timeout",
    ),
    unit="s",
    accepts=Seconds,
    default=2,
    source="gunicorn#3323",
)
def keepalive(s: Seen) -> Choice | None:
    """The app's idle outlasts the proxy's, or a reused connection is a 502.

    Gunicorn's own 2 s lose that race against nginx's 60 s (gunicorn#3323, caddy#6452).
    UvicornWorker takes this value too. Sync closes after each response and has none.
    """
    if s["gunicorn.worker_class"] == "sync":
        return None
    idle = s["nginx.upstream_keepalive_timeout"]
    return Choice(
        idle + 15,
        f"Longer than nginx keeps idle connections ({idle} s), or a reused one is a 502.",
        binding="nginx.upstream_keepalive_timeout",
    )


@rule(
    "gunicorn.backlog",
    wants=("kernel.somaxconn",),
    unit="connections",
    accepts=Queue,
    default=2048,
    source="listen(2): a backlog above net.core.somaxconn is cut to it without a word",
)
def backlog(s: Seen) -> Choice:
    """Gunicorn's 2048, or what the kernel allows where that is less."""
    most = s["kernel.somaxconn"]
    if most is None:
        return Choice(2048, "Gunicorn's own; the kernel's limit is not known.", confidence="medium")
    if most < 2048:
        return Choice(most, "The kernel cuts a longer queue to this.", binding="kernel.somaxconn")
    return Choice(2048, "Room for a burst; the kernel allows it.")


@rule(
    "gunicorn.max_requests",
    needs=("plan", "plan.budget_bytes"),
    wants=("memory_growth_bytes_per_request",),
    accepts=Requests,
    default=0,
    source="gunicorn: settings, max_requests; growth as measured",
)
def max_requests(s: Seen) -> Choice:
    """Off unless growth is evidenced: a restart drops warm caches and hides a bug.

    With growth, the requests one worker may serve before its share of the budget that is left
    has leaked away, at the high end of the interval, in two digits.
    """
    growth: Estimate | None = s["memory_growth_bytes_per_request"]
    if growth is None or growth.low <= 0:
        return Choice(0, "Workers are not renewed: no growth in memory was measured.", inputs={})
    plan: Plan = s["plan"]
    room = max(0, s["plan.budget_bytes"] - plan.needed_bytes) / plan.config.workers
    value = _two_digits(max(1000.0, room / growth.high))
    return Choice(
        value,
        f"The app grows by {size(growth.value * 1000)} in 1,000 requests; a worker is renewed "
        "before the budget is used up.",
        binding="memory",
        confidence="medium",
        inputs={"memory_growth_bytes_per_request": growth.value, "room_bytes": int(room)},
    )


def _two_digits(number: float) -> int:
    scale = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return int(number // scale * scale)


@rule(
    "gunicorn.max_requests_jitter",
    needs=("gunicorn.max_requests",),
    accepts=Requests,
    default=0,
    source="gunicorn: settings, max_requests_jitter",
)
def max_requests_jitter(s: Seen) -> Choice:
    """A tenth, so that workers are not all renewed at once."""
    if not s["gunicorn.max_requests"]:
        return Choice(0, "Workers are not renewed, so there is nothing to spread.")
    value = max(1, s["gunicorn.max_requests"] // 10)
    return Choice(value, "A tenth, so that the workers are not renewed all at once.")


@rule(
    "gunicorn.worker_tmp_dir",
    wants=("host.os",),
    accepts=Path | None,
    source="gunicorn: FAQ, blocking os.fchmod",
)
def worker_tmp_dir(s: Seen) -> Choice:
    """Heartbeats go to memory: on a disk that stalls, a healthy worker looks dead."""
    known = s["host.os"] is not None
    return Choice(
        "/dev/shm",  # noqa: S108 - Gunicorn unlinks its file at once; the folder is the kernel's
        "Heartbeats in memory: on a stalling disk a healthy worker looks dead.",
        confidence="high" if known else "medium",
    )


@rule(
    "gunicorn.control_socket_disable",
    needs=("components.gunicorn.version",),
    accepts=bool | None,
    default=False,
    source="gunicorn 25.1: changelog, control socket",
)
def control_socket_disable(s: Seen) -> Choice | None:
    """Off from 25.1 on: it is made in a folder that the unit's sandbox protects.

    Older versions refuse the unknown setting, so there, and where the version is not known,
    nothing is said.
    """
    version = s["components.gunicorn.version"]
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < (25, 1):
        return None
    return Choice(True, "Its socket cannot be made under the unit's sandbox.")


@rule(
    "gunicorn.preload_app",
    needs=("app.interface",),
    accepts=bool | None,
    default=False,
    source="gunicorn: settings, preload_app; HUP does not reload a preloaded app",
)
def preload_app(s: Seen) -> Choice:
    """Off: a reload would keep the old code, and connections opened at import would be shared."""
    kind = "loops and connections" if s["app.interface"] == "asgi" else "connections"
    return Choice(False, f"A reload would keep the old code, and {kind} could be shared.")
