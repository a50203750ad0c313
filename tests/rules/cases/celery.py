"""What Celery's rules say for which evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.model.sharing import share
from tests.rules.cases.shared import MIB, SILENT

if TYPE_CHECKING:
    from advisor.model.sharing import Kind


def celery(kind: Kind, *, cores: float = 4, memory: int = 8192) -> dict[str, Any]:
    """Celery beside the web on a host of so many megabytes, with processes of 100 each."""
    return {
        "background.celery": {"app": "shop.tasks", "kind": kind},
        "shares": share(cores, memory * MIB, {"celery": kind}, 100 * MIB),
    }


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "celery.pool": [(celery("cpu"), "prefork"), (celery("io"), "threads")],
    "celery.concurrency": [
        (celery("cpu"), 4),
        (celery("cpu", cores=0.5), 1),
        (celery("io"), 32),
        # Half of 700 MB is the main process and two children; half of 300 is not even one.
        (celery("cpu", memory=700), 2),
        (celery("cpu", memory=300), 1),
    ],
    "celery.prefetch_multiplier": [(celery("cpu"), 1), (celery("io"), None)],
    "celery.max_tasks_per_child": [(celery("cpu"), None), (celery("io"), None)],
    "celery.acks_late": [(celery("cpu"), None), (celery("io"), None)],
    "celery.cpu_weight": [
        (celery("cpu"), 20),
        (celery("io"), SILENT),
        # RQ computes beside it, Celery waits: the weight is RQ's.
        (
            celery("io")
            | {"shares": share(4, 8192 * MIB, {"celery": "io", "rq": "cpu"}, 100 * MIB)},
            SILENT,
        ),
        (
            celery("cpu")
            | {"shares": share(4, 8192 * MIB, {"celery": "cpu", "rq": "cpu"}, 100 * MIB)},
            10,
        ),
    ],
}
CONSTANT = {"celery.max_tasks_per_child", "celery.acks_late"}
