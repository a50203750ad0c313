"""Hypercorn, for ASGI apps. Times are whole seconds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import (
    IDLE,
    LEAK,
    Queue,
    Requests,
    Seconds,
    drain,
    idle,
    jitter,
    queue,
    renewal,
    served_by,
    websockets,
    where_able,
)

Some = Annotated[int, Field(gt=0, le=2**31 - 1)] | None
WorkerClass = Literal["asyncio", "uvloop", "trio"] | None

# Uvicorn's, and a third of the 60 s after which nginx closes a connection that is silent.
PING_S = 20

hypercorn = served_by("hypercorn")


@hypercorn(
    "keep_alive_timeout",
    wants=IDLE,
    unit="s",
    accepts=Seconds,
    default=5,
    source="hypercorn: configuring, keep_alive_timeout; gunicorn#3323, caddy#6452",
)
def keep_alive_timeout(s: Seen) -> Choice:
    """The app's idle outlasts the proxy's, or a reused connection is a 502: its own 5 s do not."""
    return idle(s)


@hypercorn(
    "graceful_timeout",
    wants=("latency_s.p99", "can.hypercorn.graceful_timeout"),
    unit="s",
    accepts=Seconds,
    default=3,
    source="hypercorn: configuring, graceful_timeout",
)
def graceful_timeout(s: Seen) -> Choice | None:
    """As long as requests take: Hypercorn's own 3 s cut them off. Idle connections end at once."""
    return where_able(s, "hypercorn.graceful_timeout", drain(s))


@hypercorn(
    "backlog",
    wants=("kernel.somaxconn",),
    unit="connections",
    accepts=Queue,
    default=100,
    source="hypercorn: configuring, backlog; listen(2)",
)
def backlog(s: Seen) -> Choice:
    """2048 as the other servers have, or what the kernel allows: Hypercorn's own is 100."""
    return queue(s, "Hypercorn's own 100 is short")


@hypercorn(
    "worker_class",
    wants=("components.uvloop.version", "can.hypercorn.uvloop_factory"),
    accepts=WorkerClass,
    default="asyncio",
    source="hypercorn: configuring, worker_class; hypercorn 0.17.3: changelog",
)
def worker_class(s: Seen) -> Choice:
    """Uvloop where it is installed and this Hypercorn starts it rightly, else asyncio.

    It costs less CPU a request (a bare Protocol 7.5 µs, 23 under asyncio). Saturated, it makes
    some kept-alive connections wait far longer than others.
    """
    version = s["components.uvloop.version"]
    if version is None:
        return Choice("asyncio", "uvloop was not found.", inputs={})
    if not s["can.hypercorn.uvloop_factory"]:
        return Choice(
            "asyncio",
            f"uvloop {version} is installed, but this Hypercorn is not known to start it rightly, "
            "as 0.17.3 does.",
            confidence="medium",
            inputs={"components.uvloop.version": version},
        )
    return Choice(
        "uvloop",
        f"uvloop {version} is installed: less CPU a request, though its p99 is the worse one under "
        "saturation.",
        confidence="medium",
        inputs={"components.uvloop.version": version},
    )


@hypercorn(
    "max_requests",
    needs=("plan", "plan.budget_bytes"),
    wants=(*LEAK, "can.hypercorn.max_requests"),
    accepts=Some,
    source="hypercorn 0.16.0: changelog; growth as measured",
)
def max_requests(s: Seen) -> Choice | None:
    """None unless growth is evidenced; from 0.16 on."""
    choice = renewal(s, never=None)
    return choice if choice.value is None else where_able(s, "hypercorn.max_requests", choice)


@hypercorn(
    "max_requests_jitter",
    needs=("hypercorn.max_requests",),
    accepts=Requests,
    default=0,
    source="hypercorn: configuring, max_requests_jitter",
)
def max_requests_jitter(s: Seen) -> Choice:
    """A tenth, so that workers are not all renewed at once."""
    return jitter(s["hypercorn.max_requests"])


@hypercorn(
    "websocket_ping_interval",
    wants=("routes", "can.hypercorn.websocket_ping_interval"),
    unit="s",
    accepts=Seconds,
    source="hypercorn: configuring, websocket_ping_interval",
)
def websocket_ping_interval(s: Seen) -> Choice | None:
    """20 s where a route is a WebSocket: Hypercorn sends none, and proxies close what is silent."""
    paths = websockets(s)
    if not paths:
        return None
    choice = Choice(
        PING_S,
        f"{paths[0]} is a WebSocket: without pings the proxy closes a silent one (nginx after "
        "60 s).",
        inputs={},
    )
    return where_able(s, "hypercorn.websocket_ping_interval", choice)
