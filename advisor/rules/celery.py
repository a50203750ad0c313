"""Celery's workers beside the web, by the names of `celery worker`'s own options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from advisor.rules import background
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.model.sharing import Shares

NEEDS = ("background.celery", "shares")


@rule(
    "celery.pool",
    needs=NEEDS,
    accepts=Literal["prefork", "threads"],
    default="prefork",
    source="Celery: user guide, Concurrency",
    optional=True,
)
def pool(s: Seen) -> Choice:
    """Processes for tasks that compute, threads for tasks that wait.

    The pool of threads is as old as Celery 4.4 (2019), so every Celery that runs on a Python
    this advisor knows has it.
    """
    if s["background.celery"]["kind"] == "cpu":
        return Choice("prefork", "Tasks that compute need a process each: threads share one core.")
    return Choice(
        "threads",
        "Tasks that wait overlap in threads, at a fraction of a process's memory; they have to "
        "be thread-safe, and soft time limits do not work there.",
        confidence="medium",
    )


@rule(
    "celery.concurrency",
    needs=NEEDS,
    accepts=Annotated[int, Field(gt=0, le=4096)],
    source="systemd.resource-control(5), CPUWeight; Celery: user guide, Workers",
    optional=True,
)
def concurrency(s: Seen) -> Choice:
    """What the sharing of the budget gives: a process a core, or threads where tasks wait.

    Celery's own default is one a CPU of the host, whatever the limits and the web leave.
    """
    shares: Shares = s["shares"]
    number = shares.background["celery"]
    if not number:
        return background.least(shares)
    computes = s["background.celery"]["kind"] == "cpu"
    return Choice(
        number,
        f"Not measured: at most one process a core, and {number} here, beside the main process."
        if computes
        else f"Not measured: up to eight threads a core, and {number} here, for tasks that wait.",
        confidence="medium" if computes else "low",
        inputs=background.inputs(shares),
    )


@rule(
    "celery.prefetch_multiplier",
    needs=NEEDS,
    accepts=Annotated[int, Field(ge=0, le=1000)] | None,
    default=4,
    source="Celery: user guide, Optimizing, prefetch limits",
    optional=True,
)
def prefetch_multiplier(s: Seen) -> Choice:
    """One for tasks that compute: a busy process would keep four that others could do."""
    if s["background.celery"]["kind"] == "cpu":
        return Choice(1, "A busy process reserves one task ahead, not four that others could do.")
    return Choice(None, "Celery's own 4: short tasks are fetched ahead, so nobody waits for them.")


@rule(
    "celery.max_tasks_per_child",
    needs=NEEDS,
    accepts=Annotated[int, Field(gt=0)] | None,
    source="Celery: configuration, worker_max_tasks_per_child",
    optional=True,
)
def max_tasks_per_child(_: Seen) -> Choice:
    """Off: a new process imports the app again, and no growth of the tasks was measured."""
    return Choice(None, "Processes are not renewed: what tasks leave in memory was not measured.")


@rule(
    "celery.acks_late",
    needs=NEEDS,
    accepts=bool | None,
    default=False,
    source="Celery: configuration, task_acks_late",
    applied_by="code",
    optional=True,
)
def acks_late(_: Seen) -> Choice:
    """The app's to decide: late, a task whose worker dies runs twice; early, it is lost."""
    return Choice(
        None, "As the app has it: only tasks that may run twice can be acknowledged late."
    )


@rule(
    "celery.cpu_weight",
    needs=NEEDS,
    accepts=background.Weight,
    default=100,
    source="systemd.resource-control(5), CPUWeight",
    optional=True,
)
def cpu_weight(s: Seen) -> Choice | None:
    """Less than the web's where tasks compute; silent where they wait."""
    return background.weight(s["shares"], s["background.celery"]["kind"])
