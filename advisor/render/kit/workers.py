"""Units of the background workers: Celery's and RQ's, in the sandbox of the app's own.

Where the broker is, and its password, is in the app's environment file, which the unit only
names: the app's own configuration reads it for Celery, and RQ reads RQ_REDIS_URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput
from advisor.render.component import Component, Gate, Output
from advisor.render.kit.environment import APP_ENVIRONMENT
from advisor.render.kit.environment import wanted as has_environment
from advisor.render.kit.since import gate
from advisor.render.kit.systemd import environment
from advisor.render.kit.systemd_lines import (
    Directive,
    Limit,
    is_older,
    known,
    missing,
    of_settings,
)
from advisor.render.kit.systemd_names import slice_name
from advisor.render.kit.systemd_sandbox import sandbox
from advisor.render.place import installed, program
from advisor.render.values import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.render.values import Inputs

CELERY_SETTINGS = (
    "celery.pool",
    "celery.concurrency",
    "celery.prefetch_multiplier",
    "celery.max_tasks_per_child",
    "celery.cpu_weight",
)
RQ_SETTINGS = ("rq.workers", "rq.cpu_weight")
# RQ's changes, 1.14: one command for several workers, which it starts again when they end. One
# unit each would need no such version, and a change of their number would be a change of units.
GATES = {
    "rq.workers": gate("rq.worker_pool", "rq.workers", ", and one worker runs: more of them need")
}
# The words of `celery worker`, by setting (Celery: reference, celery worker).
OPTIONS = {
    "celery.pool": "--pool",
    "celery.concurrency": "--concurrency",
    "celery.prefetch_multiplier": "--prefetch-multiplier",
    "celery.max_tasks_per_child": "--max-tasks-per-child",
}
# Celery puts no limit on a task's time; what a stop may wait for is ours to say.
TASK_S = 300
# RQ: docs, Results: a job is given 180 s unless told otherwise; ten for the rest.
JOB_S = 190
# celery#6787: its command line knows no threads in between.
WITHOUT_THREADS = ((5, 0), (5, 1, 1))
REPLACED = "A process of the pool that is killed for memory is replaced; the others go on."
RESTART_S = 5
RESTART = Directive(
    "RestartSec",
    (RESTART_S,),
    says=("Apart enough for systemd not to give up while the broker is away.",),
)


@dataclass(frozen=True)
class Worker:
    """What of a unit is one product's own.

    `says` stands above the command; `stop` and `spared` are the reasons of its stop time, in
    seconds, and of going on where the kernel has killed a process for memory, null where that is
    all of it; `left_out` is what the version cannot have.
    """

    product: str
    command: tuple[str, ...]
    says: tuple[str, ...]
    stop_s: int
    stop: tuple[str, ...]
    spared: str | None
    weight: Limit
    left_out: tuple[str, ...] = ()


def celery(inputs: Inputs) -> Worker:
    """One main process and its pool.

    A first SIGTERM lets running tasks finish (user guide, Workers: warm shutdown). The main
    process alone gets it, and waits for its pool.

    Raises `InvalidInput` for what its command line does not take.
    """
    intent = inputs.intent
    app = intent.background_celery.app if intent.background_celery else intent.app_module
    _refuse(inputs, app)
    options = [(word, id_) for id_, word in OPTIONS.items() if inputs.values[id_] is not None]
    return Worker(
        product="Celery",
        command=(
            *(program(inputs, "celery"), "--app", app, "worker"),
            *(f"{word}={inputs.values[id_]}" for word, id_ in options),
        ),
        says=tuple(f"{word}: {inputs.why[id_]}" for word, id_ in options),
        stop_s=TASK_S,
        stop=(
            f"Tasks that run may finish, within {TASK_S} s: how long they take was not measured.",
            "What takes longer is killed, and lost unless it is acknowledged late.",
        ),
        # Threads are one process: killed, it is started again as a whole.
        spared=None if inputs.values["celery.pool"] == "threads" else REPLACED,
        weight=Limit("celery.cpu_weight", "CPUWeight", "cpu_weight"),
    )


def rq(inputs: Inputs) -> Worker:
    """All workers in one unit.

    A first SIGTERM lets running jobs finish (docs, Workers: taking down workers). The pool alone
    gets it, and passes it on once: a second one would end them.
    """
    intent = inputs.intent
    queues = intent.background_rq.queues if intent.background_rq else ()
    workers = inputs.values["rq.workers"]
    pool = ("worker-pool", *queues, "--num-workers", str(workers))
    return Worker(
        product="RQ",
        command=(program(inputs, "rq"), *(("worker", *queues) if workers is None else pool)),
        says=() if workers is None else (f"--num-workers: {inputs.why['rq.workers']}",),
        stop_s=JOB_S,
        stop=("Longer than the 180 s that RQ gives a job unless told otherwise.",),
        spared="A job that is killed for memory fails; its worker goes on.",
        weight=Limit("rq.cpu_weight", "CPUWeight", "cpu_weight"),
        left_out=tuple(inputs.left_out[id_] for id_ in GATES if id_ in inputs.left_out),
    )


def _refuse(inputs: Inputs, app: str) -> None:
    """A factory, which Celery does not call (app/utils.py, find_app), and threads in between."""
    if app.endswith("()"):
        raise InvalidInput(
            f"{NAME}: background.celery: app is {app}, and Celery calls no factory",
            remedy="Name the Celery app itself, such as shop.tasks:app.",
        )
    first, fixed = WITHOUT_THREADS
    found = inputs.versions.get("celery")
    if inputs.values["celery.pool"] == "threads" and found and first <= found < fixed:
        raise InvalidInput(
            f"{NAME}: celery.pool: Celery {inputs.found('celery')} takes no threads on its command "
            "line",
            remedy="Update Celery, or pin celery.pool: prefork and celery.concurrency.",
        )


def unit_name(inputs: Inputs, product: str) -> str:
    """The name of the unit that runs a product's workers."""
    return f"{inputs.intent.app_name}-{product.lower()}.service"


def has_celery(inputs: Inputs) -> bool:
    """Where background workers are ours, and Celery runs them."""
    return "workers" in inputs.manages and inputs.intent.background_celery is not None


def has_rq(inputs: Inputs) -> bool:
    """Where background workers are ours, and RQ runs them."""
    return "workers" in inputs.manages and inputs.intent.background_rq is not None


def _context(worker: Callable[[Inputs], Worker], inputs: Inputs) -> dict[str, Any]:
    """What the unit says: the product's own, and what every unit of the app has."""
    found = worker(inputs)
    limits = [
        RESTART,
        Directive("TimeoutStopSec", (found.stop_s,), says=found.stop),
        *(
            [Directive("OOMPolicy", ("continue",), "oom_policy", says=(found.spared,))]
            if found.spared
            else []
        ),
        *of_settings(inputs, (found.weight,)),
    ]
    locked = sandbox(inputs, serves=False)
    ours = (installed(APP_ENVIRONMENT, inputs),) if has_environment(inputs) else ()
    return environment(inputs, ours) | {
        "product": found.product,
        # Before Type=exec a program that is not there counts as started.
        "type": "simple" if is_older(inputs, "type_exec") else "exec",
        "command": found.command,
        "says": found.says,
        "slice": slice_name(inputs),
        "limits": known(inputs, limits),
        "sandbox": locked["sandbox"],
        "left_open": [*locked["left_open"], *missing(inputs, limits), *found.left_out],
    }


def _component(
    product: str,
    worker: Callable[[Inputs], Worker],
    wanted: Callable[[Inputs], bool],
    settings: tuple[str, ...],
    gates: dict[str, Gate],
) -> Component:
    name = f"{{app}}-{product}.service"
    return Component(
        name="workers",
        settings=settings,
        outputs=(
            Output(
                template="workers/worker.service.j2",
                version=1,
                path=f"workers/{name}",
                target=f"/etc/systemd/system/{name}",
                owner="root",
                group="root",
                mode=0o644,
                wanted=wanted,
                checker="systemd",
                activation="restart",
            ),
        ),
        context=partial(_context, worker),
        gates=gates,
    )


CELERY = _component("celery", celery, has_celery, CELERY_SETTINGS, {})
RQ = _component("rq", rq, has_rq, RQ_SETTINGS, GATES)
