"""What RQ's rules say for which evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.model.sharing import share
from tests.rules.cases.shared import MIB, SILENT

if TYPE_CHECKING:
    from advisor.model.sharing import Kind


def rq(kind: Kind, *, cores: float = 4, memory: int = 8192) -> dict[str, Any]:
    """RQ beside the web on a host of so many megabytes, with processes of 100 each."""
    return {
        "background.rq": {"queues": ["default"], "kind": kind},
        "shares": share(cores, memory * MIB, {"rq": kind}, 100 * MIB),
    }


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "rq.workers": [
        (rq("cpu"), 4),
        (rq("cpu", cores=0.25), 1),
        (rq("io"), 8),
        # Half of 900 MB is two workers and their jobs, of 200 MB together; half of 300 is none.
        (rq("cpu", memory=900), 2),
        (rq("cpu", memory=300), 1),
    ],
    "rq.cpu_weight": [(rq("cpu"), 20), (rq("io"), SILENT)],
}
