"""Gunicorn's workers as processes: when they are renewed, what they share, where they write."""

from __future__ import annotations

from typing import Literal

from advisor.intent import Path
from advisor.rules.registry import Choice, Seen
from advisor.rules.servers import LEAK, Requests, jitter, loop, renewal, served_by, where_able

Loop = Literal["auto", "asyncio", "uvloop"] | None

gunicorn = served_by("gunicorn")


@gunicorn(
    "max_requests",
    needs=("plan", "plan.budget_bytes"),
    wants=LEAK,
    accepts=Requests,
    default=0,
    source="gunicorn: settings, max_requests; growth as measured",
)
def max_requests(s: Seen) -> Choice:
    """Off unless growth is evidenced: a restart drops warm caches and hides a bug.

    With growth, the requests one worker may serve before its share of the budget that is left
    has leaked away, at the high end of the interval, in two digits.
    """
    return renewal(s, never=0)


@gunicorn(
    "max_requests_jitter",
    needs=("gunicorn.max_requests",),
    accepts=Requests,
    default=0,
    source="gunicorn: settings, max_requests_jitter",
)
def max_requests_jitter(s: Seen) -> Choice:
    """A tenth, so that workers are not all renewed at once."""
    return jitter(s["gunicorn.max_requests"])


@gunicorn(
    "worker_tmp_dir",
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


@gunicorn(
    "control_socket_disable",
    wants=("can.gunicorn.control_socket",),
    accepts=bool | None,
    default=False,
    source="gunicorn 25.1: changelog, control socket",
)
def control_socket_disable(s: Seen) -> Choice | None:
    """Off from 25.1 on: it is made in a folder that the unit's sandbox protects.

    Older versions refuse the unknown setting, so there nothing is said.
    """
    choice = Choice(True, "Its socket cannot be made under the unit's sandbox.")
    return where_able(s, "gunicorn.control_socket", choice)


@gunicorn(
    "preload_app",
    needs=("app.interface",),
    accepts=bool | None,
    default=False,
    source="gunicorn: settings, preload_app; HUP does not reload a preloaded app",
)
def preload_app(s: Seen) -> Choice:
    """Off: a reload would keep the old code, and connections opened at import would be shared."""
    kind = "loops and connections" if s["app.interface"] == "asgi" else "connections"
    return Choice(False, f"A reload would keep the old code, and {kind} could be shared.")


@gunicorn(
    "asgi_loop",
    needs=("gunicorn.worker_class",),
    wants=("components.uvloop.version",),
    accepts=Loop,
    default="auto",
    source="gunicorn: settings, asgi_loop",
)
def asgi_loop(s: Seen) -> Choice | None:
    """`auto`, for the asgi class: uvloop where it is installed. UvicornWorker does so by itself."""
    return loop(s) if s["gunicorn.worker_class"] == "asgi" else None
