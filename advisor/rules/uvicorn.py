"""Uvicorn by itself, with its own process manager (0.30 and later). Times are whole seconds."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from advisor.quantities import duration
from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import (
    IDLE,
    LEAK,
    Queue,
    Requests,
    Seconds,
    boot_s,
    drain,
    idle,
    jitter,
    loop,
    queue,
    renewal,
    served_by,
    websockets,
    where_able,
)

Some = Annotated[int, Field(gt=0, le=2**31 - 1)] | None
Loop = Literal["auto", "asyncio", "uvloop"] | None
Http = Literal["auto", "h11", "httptools"] | None
Ws = Literal["auto", "none", "websockets", "websockets-sansio", "wsproto"] | None

HEALTHCHECK_S = 5

uvicorn = served_by("uvicorn")


@uvicorn(
    "timeout_keep_alive",
    wants=IDLE,
    unit="s",
    accepts=Seconds,
    default=5,
    source="uvicorn: settings, timeout_keep_alive; gunicorn#3323, caddy#6452",
)
def timeout_keep_alive(s: Seen) -> Choice:
    """The app's idle outlasts the proxy's, or a reused connection is a 502: its own 5 s do not."""
    return idle(s)


@uvicorn(
    "timeout_graceful_shutdown",
    wants=("latency_s.p99", "can.uvicorn.timeout_graceful_shutdown"),
    unit="s",
    accepts=Seconds,
    source="uvicorn: settings, timeout_graceful_shutdown",
)
def timeout_graceful_shutdown(s: Seen) -> Choice | None:
    """As long as requests take; Uvicorn itself waits for ever, until systemd kills it.

    Idle connections are closed at once, so only requests, streams and background tasks wait.
    """
    return where_able(s, "uvicorn.timeout_graceful_shutdown", drain(s))


@uvicorn(
    "timeout_worker_healthcheck",
    needs=("plan.workers", "plan.basis"),
    wants=("can.uvicorn.timeout_worker_healthcheck",),
    unit="s",
    accepts=Seconds,
    default=HEALTHCHECK_S,
    source="uvicorn#2711; supervisors/multiprocess.py: a reload waits this long for a new worker",
)
def timeout_worker_healthcheck(s: Seen) -> Choice | None:
    """Longer than a worker takes to boot: a reload gives up on one that serves no sooner.

    The manager also kills a worker that does not answer it for so long. With one worker there
    is no manager, and nothing to set. Older versions have the 5 s built in.
    """
    if s["plan.workers"] == 1:
        return None
    boot = boot_s(s)
    if boot <= HEALTHCHECK_S:
        return Choice(None, f"Uvicorn's own {HEALTHCHECK_S} s are enough to boot in.")
    choice = Choice(
        math.ceil(boot),
        f"Four times the CPU a worker takes to boot ({duration(boot / 4)}); a reload gives up on "
        "one that serves no sooner.",
        binding="boot_cpu",
        confidence="medium",
        inputs={"boot_cpu_s": boot / 4},
    )
    return where_able(s, "uvicorn.timeout_worker_healthcheck", choice)


@uvicorn(
    "limit_concurrency",
    needs=("proxy",),
    unit="connections",
    accepts=Some,
    source="uvicorn: server behaviour, concurrency and backlog",
)
def limit_concurrency(s: Seen) -> Choice:
    """None: it queues nothing, and it counts idle connections as it counts busy ones.

    A request over the limit is a 503 at once, though the worker may be idle; the proxy's pool
    alone can reach it. What bounds the load is the proxy's limit and the socket's queue.
    """
    held = "browsers' idle connections" if s["proxy"] == "none" else "the proxy's idle connections"
    return Choice(None, f"It counts {held} as load, and answers 503 instead of queueing.")


@uvicorn(
    "backlog",
    wants=("kernel.somaxconn",),
    unit="connections",
    accepts=Queue,
    default=2048,
    source="listen(2): a backlog above net.core.somaxconn is cut to it without a word",
)
def backlog(s: Seen) -> Choice:
    """Uvicorn's 2048, or what the kernel allows where that is less."""
    return queue(s, "Uvicorn's own")


@uvicorn(
    "loop",
    wants=("components.uvloop.version",),
    accepts=Loop,
    default="auto",
    source="uvicorn: settings, loop",
)
def loop_(s: Seen) -> Choice:
    """`auto`: uvloop where it is installed."""
    return loop(s)


@uvicorn(
    "http",
    wants=("components.httptools.version",),
    accepts=Http,
    default="auto",
    source="uvicorn: settings, http",
)
def http(s: Seen) -> Choice:
    """`auto`: httptools where it is installed, a parser in C, else h11 in Python."""
    version = s["components.httptools.version"]
    if version is None:
        return Choice(
            "auto", "httptools was not found, so h11 parses requests, in Python.", inputs={}
        )
    return Choice(
        "auto",
        f"Takes httptools {version}, which is installed and parses requests in C.",
        inputs={"components.httptools.version": version},
    )


@uvicorn(
    "ws",
    wants=(
        "routes",
        "components.uvicorn.version",
        "components.websockets.version",
        "components.wsproto.version",
    ),
    accepts=Ws,
    default="auto",
    source="uvicorn: settings, ws; protocols/websockets/auto.py",
)
def ws(s: Seen) -> Choice | None:
    """`auto` where a route is a WebSocket: websockets, else wsproto; without both none opens."""
    paths = websockets(s)
    if not paths:
        return None
    for name in ("websockets", "wsproto"):
        if version := s[f"components.{name}.version"]:
            return Choice("auto", f"{paths[0]} is a WebSocket; {name} {version} speaks it.")
    if s["components.uvicorn.version"] is None:
        return Choice(
            "auto",
            f"{paths[0]} is a WebSocket, which needs websockets or wsproto installed.",
            confidence="medium",
        )
    return Choice(
        "auto",
        f"{paths[0]} is a WebSocket, but neither websockets nor wsproto is installed: each is "
        "refused until one is.",
        confidence="low",
    )


@uvicorn(
    "limit_max_requests",
    needs=("plan", "plan.budget_bytes"),
    wants=LEAK,
    accepts=Some,
    source="uvicorn: settings, limit_max_requests; growth as measured",
)
def limit_max_requests(s: Seen) -> Choice:
    """None unless growth is evidenced, and never with one worker: the server would end with it.

    It ends without an error then, after which a unit that restarts on failure stays down.
    """
    if s["plan"].config.workers == 1:
        return Choice(None, "With one worker the whole server would stop.", inputs={})
    return renewal(s, never=None)


@uvicorn(
    "limit_max_requests_jitter",
    needs=("uvicorn.limit_max_requests",),
    wants=("can.uvicorn.limit_max_requests_jitter",),
    accepts=Requests,
    default=0,
    source="uvicorn#2707",
)
def limit_max_requests_jitter(s: Seen) -> Choice | None:
    """A tenth, so that workers are not all renewed at once; from 0.41 on."""
    choice = jitter(s["uvicorn.limit_max_requests"])
    return where_able(s, "uvicorn.limit_max_requests_jitter", choice)
