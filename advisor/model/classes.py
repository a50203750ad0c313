"""Worker classes: how each serves, and what it costs beside the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

# So many threads gthread's workers had when it was priced.
CALIBRATED_THREADS = 8


@dataclass(frozen=True, slots=True)
class WorkerClass:
    """How an app server's worker serves.

    `kind`: "one" request at a time, "threads" under one interpreter lock, or a "loop" that any
    number of requests wait in. `cost_s` is CPU a request beyond the interface's reference class
    (sync, UvicornWorker), `handover_s` the time a worker is held by it beyond its CPU. Until a
    host is calibrated they come from null apps on one machine: one worker at 64 connections,
    UvicornWorker 11.4k requests/s, asgi 10.7k, Hypercorn 5.2k, Granian 16.8k; two workers at 16,
    sync 83 to 86 µs of CPU, gthread 94 to 98. Threads wait for the interpreter's lock besides; what
    `CALIBRATED_THREADS` busy ones take by that is part of the cost.
    """

    name: str
    interface: Literal["asgi", "wsgi"]
    kind: Literal["one", "threads", "loop"]
    cost_s: float
    handover_s: float = 0.0


SYNC = WorkerClass("sync", "wsgi", "one", 0.0)
GTHREAD = WorkerClass("gthread", "wsgi", "threads", 0.00001, 0.00002)
GEVENT = WorkerClass("gevent", "wsgi", "loop", 0.0)
UVICORN_WORKER = WorkerClass("uvicorn_worker.UvicornWorker", "asgi", "loop", 0.0)
ASGI = WorkerClass("asgi", "asgi", "loop", 0.000006)
# A plain Uvicorn runs the same loop and protocol code as its Gunicorn worker.
UVICORN = WorkerClass("uvicorn", "asgi", "loop", 0.0)
HYPERCORN = WorkerClass("hypercorn", "asgi", "loop", 0.000104)
GRANIAN = WorkerClass("granian", "asgi", "loop", -0.000028)
GRANIAN_WSGI = WorkerClass("granian", "wsgi", "threads", 0.0)

# By the names that measurements and pins use. Granian serves both interfaces under one name.
CLASSES = {
    **{each.name: each for each in (SYNC, GTHREAD, GEVENT, ASGI, UVICORN, HYPERCORN, GRANIAN)},
    UVICORN_WORKER.name: UVICORN_WORKER,
    "uvicorn.workers.UvicornWorker": UVICORN_WORKER,
}
OFFERED: dict[tuple[str, str], tuple[WorkerClass, ...]] = {
    ("gunicorn", "wsgi"): (SYNC, GTHREAD),
    ("gunicorn", "asgi"): (UVICORN_WORKER,),
    ("uvicorn", "asgi"): (UVICORN,),
    ("hypercorn", "asgi"): (HYPERCORN,),
    ("granian", "asgi"): (GRANIAN,),
    ("granian", "wsgi"): (GRANIAN_WSGI,),
}
REFERENCE = {"wsgi": SYNC, "asgi": UVICORN_WORKER}


def named(name: str | None, interface: str) -> WorkerClass | None:
    """The class of that name that runs apps of the interface; None for another or unknown one."""
    if interface == "wsgi" and name in {"granian", "granian-wsgi"}:
        return GRANIAN_WSGI
    found = CLASSES.get(name or "")
    return found if found and found.interface == interface else None


def calibrated(
    offered: tuple[WorkerClass, ...], costs: Mapping[str, tuple[float, float]]
) -> tuple[WorkerClass, ...]:
    """The classes with what a request that does nothing took of them on this host.

    `costs` gives CPU seconds and the seconds that a saturated worker is held, by name. Only
    differences are used, so a class without a figure, and all of them where the reference
    class has none, stay as the table has them.
    """
    return tuple(_calibrated(each, costs) for each in offered)


def _calibrated(each: WorkerClass, costs: Mapping[str, tuple[float, float]]) -> WorkerClass:
    reference = REFERENCE[each.interface].name
    if each.name not in costs or reference not in costs:
        return each
    cpu, held = costs[each.name]
    handover = each.handover_s if each.kind == "loop" else max(0.0, held - cpu)
    return replace(each, cost_s=cpu - costs[reference][0], handover_s=handover)
