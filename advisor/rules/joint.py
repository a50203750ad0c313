"""The three settings that are chosen together: worker class, workers, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from advisor.documents import Alternative
from advisor.model.choose import SLACK
from advisor.quantities import count, duration, rate, size
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.documents import Value
    from advisor.model.choose import Candidate, Plan

SOURCE = "operational laws (Denning and Buzen 1978), machine repairman; PSS from smaps_rollup"
ClassName = Literal[
    "sync",
    "gthread",
    "gevent",
    "asgi",
    "uvicorn_worker.UvicornWorker",
    "uvicorn.workers.UvicornWorker",
]
Few = Annotated[int, Field(gt=0, le=1024)]

STOPPED = {
    "memory": "one more would not fit the memory",
    "boot_cpu": "more would make a reload compute for over 15 s",
    "database": "the database has no connections for more",
    "descriptors": "a worker may not open more files",
    "queue": "more connections would wait than the kernel's queue holds",
    "concurrency": "the requests in flight keep no more busy",
    "downstream": "what the app calls gives no more",
    "targets": "that meets the targets",
    "pins": "as pinned",
    "cpu": "the CPU is used up",
}


def _workers_of(server: str) -> None:
    """Register the server's number of workers; every server of ours calls them that."""

    @rule(
        f"{server}.workers",
        needs=("server", "plan", "plan.basis"),
        unit="processes",
        accepts=Few,
        source=SOURCE,
    )
    def workers(s: Seen) -> Choice | None:
        """As many as add throughput, in the least memory, under every limit.

        The cores a quota leaves are rounded down without a measurement: a worker beyond the
        quota is throttled (automaxprocs#98), and zero workers serve nobody (puma#3827).
        """
        if s["server"] != server:
            return None
        plan: Plan = s["plan"]
        nearby = [found for found in (plan.fewer, plan.more) if found]
        return Choice(
            plan.config.workers,
            _why_workers(plan, s["plan.basis"].inputs),
            binding=plan.binding,
            confidence=s["plan.basis"].confidence,
            inputs=s["plan.basis"].inputs,
            alternatives=tuple(_alternative(found, found.config.workers) for found in nearby),
            sensitivity=s["plan.basis"].sensitivity.get("workers", ()),
        )


for _server in ("gunicorn", "granian", "hypercorn", "uvicorn"):
    _workers_of(_server)


@rule(
    "gunicorn.worker_class",
    needs=("server", "plan", "plan.basis"),
    accepts=ClassName,
    source=SOURCE,
)
def worker_class(s: Seen) -> Choice | None:
    """The class of the interface that serves most; threads where requests wait.

    `uvicorn_worker.UvicornWorker` rather than the deprecated `uvicorn.workers.UvicornWorker`.
    gevent only where it is pinned: it changes how the app's own code runs.
    """
    if s["server"] != "gunicorn":
        return None
    plan: Plan = s["plan"]
    chosen = plan.config.worker_class
    rivals = [found for found in plan.other if found.config.worker_class.name != chosen.name]
    why = {
        "one": "Requests spend their time computing: one at a time in a worker costs least.",
        "threads": "Requests that wait overlap in threads; the app has to be thread-safe.",
        "loop": "An ASGI app runs on an event loop.",
    }[chosen.kind]
    if chosen.interface == "wsgi" and chosen.kind == "loop":
        why = "Waiting requests overlap in greenlets, where all that the app calls is patched."
    return Choice(
        chosen.name,
        why,
        confidence=s["plan.basis"].confidence,
        inputs=s["plan.basis"].inputs,
        alternatives=tuple(_alternative(found, found.config.worker_class.name) for found in rivals),
        sensitivity=s["plan.basis"].sensitivity.get("worker_class", ()),
    )


@rule(
    "gunicorn.threads",
    needs=("server", "plan", "plan.basis"),
    unit="threads",
    accepts=Few,
    source=SOURCE,
)
def threads(s: Seen) -> Choice | None:
    """Threads of one worker: enough for the requests that may land on it, and few enough.

    A kept-alive connection stays with its worker, so threads that only all workers together
    have are not there when they are needed (384 against 1,510 requests/s); and each thread that
    is busy makes the interpreter's lock change hands more often.
    """
    if s["server"] != "gunicorn":
        return None
    plan: Plan = s["plan"]
    kind, number = plan.config.worker_class.kind, plan.config.threads
    same = [
        found
        for found in plan.other
        if found.config.worker_class.name == plan.config.worker_class.name
    ]
    if kind != "threads":
        return Choice(
            number,
            "This class runs the app in one thread a worker.",
            sensitivity=s["plan.basis"].sensitivity.get("threads", ()),
        )
    why = "Without a measurement: 8, so that a few waiting requests do not stop the rest."
    if plan.throughput is not None:
        why = f"A worker takes {number} requests at a time; connections stay where they land."
    return Choice(
        number,
        why,
        confidence=s["plan.basis"].confidence,
        inputs=s["plan.basis"].inputs,
        alternatives=tuple(_alternative(found, found.config.threads) for found in same),
        sensitivity=s["plan.basis"].sensitivity.get("threads", ()),
    )


def _alternative(found: Candidate, value: Value) -> Alternative:
    config = found.config
    return Alternative(
        value=value,
        throughput_rps=None if found.rps is None else round(found.rps, 1),
        memory_bytes=found.memory_bytes,
        why=f"{config.worker_class.name}, {config.workers} x {config.threads}",
    )


def _why_workers(plan: Plan, inputs: dict[str, Value]) -> str:
    if plan.throughput is None or plan.more is None or plan.more.rps is None:
        return _why_unmeasured(plan, inputs)
    served = (
        f"{count(plan.config.workers, 'worker')} serve{'s' * (plan.config.workers == 1)} "
        f"{rate(plan.throughput.value)} at {plan.concurrency} in flight "
        f"({_took(inputs, 'cpu')} of CPU and {_took(inputs, 'wait')} of waiting a request)"
    )
    gained = plan.more.rps / plan.throughput.value - 1
    if gained > SLACK:
        return f"{served}; {STOPPED[plan.binding]}."
    extra = size(plan.more.memory_bytes - plan.memory.value)
    return f"{served}; one more adds {max(0.0, 100 * gained):.1f} % and takes {extra}."


def _why_unmeasured(plan: Plan, inputs: dict[str, Value]) -> str:
    if plan.binding not in {"cpu", "pins"}:
        return f"Not measured: fewer than one a whole core, because {STOPPED[plan.binding]}."
    return (
        f"Not measured: one worker a whole core, at least one ({inputs['cpu.effective']:g} here)."
    )


def _took(inputs: dict[str, Value], what: str) -> str:
    seconds = inputs[f"{what}_per_request_s"]
    return duration(seconds) if isinstance(seconds, int | float) else "unknown"
