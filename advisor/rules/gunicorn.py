"""Gunicorn's times, queues and connections. Times are whole seconds.

How each class serves decides what a setting means to it: sync takes one connection at a time and
closes it, gthread and gevent hold many and enforce `worker_connections`, `asgi` and UvicornWorker
hold as many as come. What is about the workers as processes stands in gunicorn_workers.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.quantities import duration
from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import (
    DRAIN_S,
    IDLE,
    LONGEST_DRAIN_S,
    Queue,
    Seconds,
    drain,
    idle,
    patience,
    queue,
    served_by,
)

if TYPE_CHECKING:
    from advisor.documents import Estimate

Connections = Annotated[int, Field(gt=0, le=1_000_000)] | None

TIMEOUT_S = 30
CONNECTIONS = 1000
# The asgi class waits for idle connections too, so it gets no longer than requests take.
SHORT_DRAIN_S = 10
UVICORN_WORKERS = {"uvicorn_worker.UvicornWorker", "uvicorn.workers.UvicornWorker"}

gunicorn = served_by("gunicorn")


@gunicorn(
    "timeout",
    needs=("gunicorn.worker_class",),
    wants=("latency_s.p99", "limiter"),
    unit="s",
    accepts=Seconds,
    default=TIMEOUT_S,
    source="gunicorn: settings, timeout",
)
def timeout(s: Seen) -> Choice:
    """Gunicorn's 30 s; four times the measured p99 where a longer request would be killed.

    That is under sync, whose worker is silent during a request, and where requests block an
    event loop. The other classes send their heartbeat beside the request, so there it catches a
    worker that hangs as a whole, however long requests take.
    """
    name = s["gunicorn.worker_class"]
    p99: Estimate | None = s["latency_s.p99"]
    blocked = s["limiter"] is not None and s["limiter"].verdict == "event-loop-blocked"
    catches = _catches(name)
    ample = patience(p99)
    if p99 and ample > TIMEOUT_S and (name == "sync" or blocked):
        return Choice(
            ample,
            f"Four times the measured p99 ({duration(p99.value)}), then {catches}.",
            binding="latency_s.p99",
            confidence="medium",
            inputs={"latency_s.p99": p99.value},
        )
    seen = f" ({duration(p99.value)} at p99 as measured)" if p99 and name == "sync" else ""
    return Choice(TIMEOUT_S, f"After {TIMEOUT_S} s {catches}{seen}.")


def _catches(name: str) -> str:
    if name == "sync":
        return "a request counts as stuck and its worker is killed"
    if name in UVICORN_WORKERS:
        return "or from half of it on, a worker whose loop is blocked is killed"
    return "a worker that hangs as a whole is killed, and no request for being slow"


@gunicorn(
    "graceful_timeout",
    needs=("gunicorn.worker_class", "gunicorn.timeout"),
    wants=("latency_s.p99",),
    unit="s",
    accepts=Seconds,
    default=30,
    source="gunicorn: settings, graceful_timeout; workers/gasgi.py, shutdown",
)
def graceful_timeout(s: Seen) -> Choice:
    """As long as a request may take: what a reload or stop lets run to its end.

    Under sync that is `timeout`. The asgi class waits for idle kept-alive connections as well,
    for all of this time (12.1 s of 12, measured; UvicornWorker took 0.4 s), so it gets 10 s
    unless requests take longer.
    """
    name = s["gunicorn.worker_class"]
    if name == "sync":
        value = max(DRAIN_S, min(s["gunicorn.timeout"], LONGEST_DRAIN_S))
        return Choice(value, "Requests in flight may finish on a reload or stop.")
    if name != "asgi":
        return drain(s)
    found = drain(s, least=SHORT_DRAIN_S)
    return Choice(
        found.value,
        f"The asgi class waits this long for idle connections too: {found.why[0].lower()}"
        f"{found.why[1:]}",
        binding=found.binding,
        confidence=found.confidence,
        inputs=found.inputs,
    )


@gunicorn(
    "keepalive",
    needs=("gunicorn.worker_class",),
    wants=IDLE,
    unit="s",
    accepts=Seconds,
    default=2,
    source="gunicorn#3323",
)
def keepalive(s: Seen) -> Choice | None:
    """The app's idle outlasts the proxy's, or a reused connection is a 502.

    Gunicorn's own 2 s lose that race against nginx's 60 s and Caddy's 120 s (gunicorn#3323,
    caddy#6452). UvicornWorker takes this value too. Sync closes after each response and has
    none.
    """
    return None if s["gunicorn.worker_class"] == "sync" else idle(s)


@gunicorn(
    "worker_connections",
    needs=("gunicorn.worker_class", "gunicorn.threads", "plan.concurrency"),
    unit="connections",
    accepts=Connections,
    default=CONNECTIONS,
    source="gunicorn: settings, worker_connections; gthread keeps at most this less its threads",
)
def worker_connections(s: Seen) -> Choice | None:
    """Twice the requests in flight and a place for every thread, at least Gunicorn's 1000.

    Only gthread and gevent hold to it: gthread accepts no more, and keeps no connection alive
    beyond this number less its threads; gevent runs no more greenlets. The asgi class reads it
    and does not enforce it, the others have none.
    """
    name, threads = s["gunicorn.worker_class"], s["gunicorn.threads"]
    if name not in {"gthread", "gevent"}:
        return None
    wanted = 2 * s["plan.concurrency"] + (threads if name == "gthread" else 0)
    if wanted > CONNECTIONS:
        return Choice(
            wanted,
            f"Each of {s['plan.concurrency']:,} requests in flight and an idle connection beside "
            "it may be on one worker.",
            binding="concurrency",
        )
    held = f"{threads} serve and the rest idle" if name == "gthread" else "each a greenlet"
    return Choice(CONNECTIONS, f"A worker holds up to {CONNECTIONS:,} connections: {held}.")


@gunicorn(
    "backlog",
    wants=("gunicorn.worker_class", "kernel.somaxconn"),
    unit="connections",
    accepts=Queue,
    default=2048,
    source="listen(2): a backlog above net.core.somaxconn is cut to it without a word",
)
def backlog(s: Seen) -> Choice:
    """Gunicorn's 2048, or what the kernel allows where that is less.

    The asgi class listens again with asyncio's own 100 as it starts, whatever is set; the value
    still counts while its workers boot.
    """
    found = queue(s, "Gunicorn's own")
    if s["gunicorn.worker_class"] != "asgi":
        return found
    return Choice(
        found.value,
        "Counts until the workers have booted: the asgi class then cuts the queue to 100, whatever "
        "is set.",
        binding=found.binding,
        confidence="medium",
    )


@gunicorn(
    "reuse_port",
    needs=("gunicorn.worker_class",),
    accepts=bool | None,
    default=False,
    source="gunicorn: settings, reuse_port; arbiter.py: workers then make their own sockets",
)
def reuse_port(s: Seen) -> Choice:
    """Off: each worker would have a queue of its own, and what waits in one is lost with it.

    The sockets that systemd hands over would not be used either.
    """
    held = "request" if s["gunicorn.worker_class"] == "sync" else "connection"
    return Choice(
        False,
        f"One queue for all workers: with one each, a {held} that waits for a worker which stops "
        "is lost, and systemd's socket is not used.",
    )
