"""Granian 2's network and threads, for ASGI and WSGI apps; its processes: granian_workers.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import (
    POOLED_S,
    POOLS,
    loop,
    queue,
    served_by,
    where_able,
)

Few = Annotated[int, Field(gt=0, le=4096)] | None
Many = Annotated[int, Field(gt=0, le=1_000_000)] | None
Backlog = Annotated[int, Field(ge=128, le=65535)] | None
Milliseconds = Annotated[int, Field(gt=0, le=60_000)] | None
Mode = Literal["auto", "mt", "st"] | None
Loop = Literal["auto", "asyncio", "rloop", "uvloop"] | None
Http = Literal["auto", "1", "2"] | None

LEAST_BACKLOG = 128
IDLE_MS = 30_000
LONGEST_IDLE_MS = 60_000
SPARE_MS = 10_000

granian = served_by("granian")


@granian(
    "runtime_threads",
    needs=("plan.kind",),
    unit="threads",
    accepts=Few,
    default=1,
    source="granian: README, workers and threads",
)
def runtime_threads(s: Seen) -> Choice:
    """One thread of Rust for a worker's network: workers are what adds throughput."""
    beside = "the event loop" if s["plan.kind"] == "loop" else "the threads that run the app"
    return Choice(1, f"One thread does a worker's network beside {beside}.")


@granian(
    "runtime_mode",
    accepts=Mode,
    default="auto",
    source="granian: README, runtime mode",
)
def runtime_mode(s: Seen) -> Choice:
    """`auto`: Granian's own choice by its other settings, of which nothing here knows better."""
    return Choice("auto", "With one runtime thread a worker the modes are alike.", inputs=dict(s))


@granian(
    "blocking_threads",
    needs=("app.interface", "plan.threads", "plan.basis"),
    unit="threads",
    accepts=Few,
    source="granian: README, workers and threads; server/common.py: half the backpressure",
)
def blocking_threads(s: Seen) -> Choice | None:
    """Threads that run a WSGI app, as the model chose them: Granian's own may be 512.

    Under ASGI there is one, and Granian refuses another number.
    """
    if s["app.interface"] != "wsgi":
        return None
    number = s["plan.threads"]
    return Choice(
        number,
        f"One worker runs {number} requests at a time; without a word it would be half of its "
        "backpressure.",
        confidence=s["plan.basis"].confidence,
        inputs={"threads": number},
    )


@granian(
    "backlog",
    wants=("kernel.somaxconn",),
    unit="connections",
    accepts=Backlog,
    default=1024,
    source="granian: README, backlog (128 at least); listen(2)",
)
def backlog(s: Seen) -> Choice:
    """2048 as the other servers have, or what the kernel allows, at least the 128 it insists on."""
    return queue(s, "Granian's own is 1024", least=LEAST_BACKLOG)


@granian(
    "backpressure",
    needs=("plan.workers", "plan.concurrency", "granian.backlog"),
    wants=("nginx.upstream_keepalive", "cpu.logical"),
    unit="connections",
    accepts=Many,
    source="granian: README, backpressure: it counts connections, idle ones too",
)
def backpressure(s: Seen) -> Choice:
    """Every connection may be on one worker: those in flight, and those the proxy keeps idle.

    A worker at this number accepts no more, though all of them be idle. Granian's own is the
    backlog over the workers, which stays where it is more.
    """
    own = s["granian.backlog"] // s["plan.workers"]
    pooled = (s["nginx.upstream_keepalive"] or 0) * (s["cpu.logical"] or 1)
    held = s["plan.concurrency"] + max(pooled, s["plan.concurrency"])
    if own >= held:
        return Choice(
            own,
            f"The backlog over the workers, as Granian has it: room for {held:,} connections, idle "
            "ones too.",
            inputs={"connections": held},
        )
    return Choice(
        held,
        f"{s['plan.concurrency']:,} in flight and as many as may be idle count on one worker: its "
        f"own {own:,} would stop it accepting.",
        binding="concurrency",
        inputs={"connections": held},
    )


@granian(
    "loop",
    wants=("components.uvloop.version",),
    accepts=Loop,
    default="auto",
    source="granian: README, loop",
)
def loop_(s: Seen) -> Choice:
    """`auto`: uvloop where it is installed."""
    return loop(s)


@granian(
    "http",
    needs=("proxy",),
    accepts=Http,
    default="auto",
    source="granian: README, http; nginx and Caddy speak HTTP/1.1 to the app",
)
def http(s: Seen) -> Choice:
    """HTTP/1.1 alone behind a proxy, which speaks nothing else to it; `auto` without one."""
    if s["proxy"] == "none":
        return Choice("auto", "No proxy: clients may choose HTTP/2.")
    return Choice("1", "The proxy speaks HTTP/1.1 to the app: nothing else is let in.")


@granian(
    "http1_header_read_timeout",
    needs=("proxy",),
    wants=(*POOLS.values(), "can.granian.http1_header_read_timeout"),
    accepts=Milliseconds,
    default=IDLE_MS,
    source="granian#509; hyper: http1, header_read_timeout",
)
def http1_header_read_timeout(s: Seen) -> Choice | None:
    """Milliseconds for the next request's header, which is also how long a connection may idle.

    30 s, or 10 s more than the proxy keeps idle connections; 60 s is the most it takes.
    """
    proxy = s["proxy"]
    if proxy not in POOLS:
        return Choice(IDLE_MS, "Granian's own 30 s: no proxy keeps idle connections.", inputs={})
    pooled = s[POOLS[proxy]] or POOLED_S[proxy]
    wanted = pooled * 1000 + SPARE_MS
    if wanted <= IDLE_MS:
        return Choice(
            IDLE_MS,
            f"Granian's own 30 s: longer than the proxy keeps idle connections ({pooled} s).",
            inputs={POOLS[proxy]: pooled},
        )
    choice = Choice(
        min(wanted, LONGEST_IDLE_MS),
        f"It ends idle connections too, and the proxy keeps them for {pooled} s: a reused one "
        "would be a 502.",
        binding=POOLS[proxy],
        confidence="high" if wanted <= LONGEST_IDLE_MS else "low",
        inputs={POOLS[proxy]: pooled},
    )
    return where_able(s, "granian.http1_header_read_timeout", choice)
