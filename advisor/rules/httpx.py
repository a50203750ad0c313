"""httpx's limits for the calls that the app makes itself, which its code sets.

They follow from the requests that one worker has in flight, each with one call at a time. The
lines to paste grow from setting to setting: the last holds them all. Silent without a
measurement, where httpx's own stay.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model import connections
from advisor.quantities import count, duration, rate
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Estimate, Limiter, Value
    from advisor.model.choose import Plan

SOURCE = "httpx: docs, Resource Limits"
# httpx's own (its _config.py, 0.28).
CONNECTIONS, KEPT, EXPIRY_S, TIMEOUT_S = 100, 20, 5, 5
# nginx closes an idle client after 75 s, so this is well within.
LONG_EXPIRY_S = 30
# How long one call may take against the 99th percentile of a whole request.
MARGIN = 4
# Calls that wait in line for a busy downstream, for each one it works on.
AHEAD = 2

NEEDS = ("plan", "plan.kind", "plan.workers", "plan.threads", "plan.concurrency")
INSTALLED = ("components.httpx.version", "limiter")
Connections = Annotated[int, Field(gt=0, le=100_000)]


def _speaks(s: Seen) -> bool:
    """Whether something was measured of an app that has httpx, or that waits for what it calls."""
    plan: Plan = s["plan"]
    return plan.throughput is not None and (
        s["components.httpx.version"] is not None or _downstream(s)
    )


def _downstream(s: Seen) -> bool:
    limiter: Limiter | None = s["limiter"]
    return limiter is not None and limiter.verdict == "downstream"


def _held(s: Seen) -> int:
    """Requests that one worker has in flight, when they spread evenly."""
    if s["plan.kind"] == "one":
        return 1
    each: int = -(-s["plan.concurrency"] // max(1, s["plan.workers"]))
    return min(each, s["plan.threads"]) if s["plan.kind"] == "threads" else each


def _client(s: Seen, name: str, value: Value) -> str:
    """The client with this setting and the ones before it."""
    prefix = "httpx."
    others = {key.removeprefix(prefix): s[key] for key in s if key.startswith(prefix)}
    given = {key: found for key, found in others.items() if found is not None} | {name: value}
    timeout = given.pop("timeout", None)
    limits = ", ".join(f"{key}={found!r}" for key, found in given.items())
    also = f", timeout={timeout!r}" if timeout is not None else ""
    kind = "AsyncClient" if s["plan.kind"] == "loop" else "Client"
    return "\n".join(
        [
            "import httpx",
            "",
            f"limits = httpx.Limits({limits})",
            f"client = httpx.{kind}(limits=limits{also})  # one for the whole process",
        ]
    )


@rule(
    "httpx.max_connections",
    needs=NEEDS,
    wants=(*INSTALLED, "wait_per_request_s"),
    unit="connections",
    accepts=Connections,
    default=CONNECTIONS,
    source=f"{SOURCE}; Little's law",
    applied_by="code",
    optional=True,
)
def max_connections(s: Seen) -> Choice | None:
    """Httpx's 100, or one for each request in flight; fewer where what is called is the limit.

    There twice the calls that it works on keep it busy, and the others wait here instead of
    there. One AsyncClient grows dear far below a hundred calls at once (httpx#3215), but calls
    beyond the limit fail after the pool's timeout.
    """
    if not _speaks(s):
        return None
    plan: Plan = s["plan"]
    held, wait = _held(s), s["wait_per_request_s"]
    if _downstream(s) and plan.throughput is not None and wait is not None:
        busy = connections.at_once(plan.throughput.value, wait.value, s["plan.workers"])
        value = min(AHEAD * busy, max(CONNECTIONS, held))
        return Choice(
            value,
            f"What is called serves {rate(plan.throughput.value)} at {duration(wait.value)} each, "
            f"{busy} at once a worker: twice that keeps it busy, more would only queue there.",
            binding="downstream",
            confidence="medium",
            inputs={"wait_per_request_s": wait.value, "plan.workers": s["plan.workers"]},
            paste=_client(s, "max_connections", value),
        )
    value = max(CONNECTIONS, held)
    enough = "httpx's own is enough for" if value == CONNECTIONS else "One for each of"
    return Choice(
        value,
        f"{enough} the {count(held, 'request')} that a worker has in flight.",
        binding="concurrency" if value > CONNECTIONS else None,
        confidence="medium",
        inputs=_inputs(s),
        paste=_client(s, "max_connections", value),
    )


@rule(
    "httpx.max_keepalive_connections",
    needs=(*NEEDS, "httpx.max_connections"),
    wants=INSTALLED,
    unit="connections",
    accepts=Connections,
    default=KEPT,
    source=SOURCE,
    applied_by="code",
    optional=True,
)
def max_keepalive_connections(s: Seen) -> Choice | None:
    """As many as are in use at once, so that none is closed only to be opened again.

    httpx keeps 20 of its 100: of more calls at once, the others pay for a new connection each
    time, and for its TLS.
    """
    if not _speaks(s):
        return None
    held, most = _held(s), s["httpx.max_connections"]
    value = min(most, max(KEPT, held))
    in_flight = f"a worker has {count(held, 'request')} in flight"
    if value == most:
        why = f"All {most} that there may be."
    elif value > held:
        why = f"httpx's own: {in_flight}."
    else:
        why = f"One for each: {in_flight}, and none is closed only to be opened again."
    return Choice(
        value,
        why,
        binding="httpx.max_connections" if value == most else None,
        confidence="medium",
        inputs={**_inputs(s), "httpx.max_connections": most},
        paste=_client(s, "max_keepalive_connections", value),
    )


@rule(
    "httpx.keepalive_expiry",
    needs=(*NEEDS, "httpx.max_connections"),
    wants=(*INSTALLED, "targets.rate_rps", "httpx.max_keepalive_connections"),
    unit="s",
    accepts=Annotated[int, Field(ge=0, le=3600)],
    default=EXPIRY_S,
    source=f"{SOURCE}; nginx: ngx_http_core_module, keepalive_timeout (75 s)",
    applied_by="code",
    optional=True,
)
def keepalive_expiry(s: Seen) -> Choice | None:
    """Httpx's 5 s; 30 s where a worker calls so seldom that each call would connect anew.

    What is called must keep idle connections for longer, or a call meets a closed one: nginx
    does (75 s), a bare Uvicorn (5 s) or Gunicorn (2 s) does not.
    """
    if not _speaks(s):
        return None
    asked: float | None = s["targets.rate_rps"]
    between = s["plan.workers"] / asked if asked else 0.0
    value = LONG_EXPIRY_S if between > EXPIRY_S else EXPIRY_S
    why = (
        f"A worker has a request every {between:.0f} s at targets.rate_rps, and 5 s would open a "
        "connection for each; what is called must keep them for longer than this."
        if value > EXPIRY_S
        else "httpx's own; a Gunicorn (2 s) or Uvicorn (5 s) that is called without a proxy has to "
        "keep idle connections for longer."
    )
    return Choice(
        value,
        why,
        confidence="medium",
        inputs=_inputs(s) | ({"targets.rate_rps": asked} if asked else {}),
        paste=_client(s, "keepalive_expiry", value),
    )


@rule(
    "httpx.timeout",
    needs=(*NEEDS, "latency_s.p99"),
    wants=(
        *INSTALLED,
        *("nginx.proxy_read_timeout", "httpx.max_connections"),
        *("httpx.max_keepalive_connections", "httpx.keepalive_expiry"),
    ),
    unit="s",
    accepts=Annotated[int, Field(gt=0, le=3600)],
    default=TIMEOUT_S,
    source="httpx: docs, Timeouts",
    applied_by="code",
    optional=True,
)
def timeout(s: Seen) -> Choice | None:
    """Httpx's 5 s, or four times the measured p99 of a whole request where that is longer.

    A call takes no longer than the request it is part of. At most half of what the proxy waits,
    so that the app can still say what failed.
    """
    if not _speaks(s):
        return None
    p99: Estimate = s["latency_s.p99"]
    proxy: int | None = s["nginx.proxy_read_timeout"]
    ample = max(TIMEOUT_S, min(3600, math.ceil(MARGIN * p99.high)))
    value = min(ample, max(1, proxy // 2)) if proxy else ample
    if value < ample:
        why = f"Half of the {proxy} s that nginx waits, so that the app can say what failed."
        binding = "nginx.proxy_read_timeout"
    elif value > TIMEOUT_S:
        why = f"Four times the measured p99 of a whole request ({duration(p99.value)})."
        binding = "latency_s.p99"
    else:
        why = f"httpx's own: a whole request takes {duration(p99.value)} at p99."
        binding = None
    return Choice(
        value,
        why,
        binding=binding,
        confidence="medium",
        inputs={
            "latency_s.p99": p99.value,
            **({"nginx.proxy_read_timeout": proxy} if proxy else {}),
        },
        paste=_client(s, "timeout", value),
    )


def _inputs(s: Seen) -> dict[str, Value]:
    return {name: s[name] for name in NEEDS if name != "plan"}
