"""What AnyIO's rule says for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.model.classes import GTHREAD, UVICORN_WORKER
from tests.rules.cases.shared import ASYNC, SILENT
from tests.rules.plans import database, limited, planned, seen, serving

FULL = limited("concurrency", tokens=40, in_service_per_worker=39.4)
MANY = serving(UVICORN_WORKER, 2, concurrency=256, rps=1600)
KIB = 1024


def left(threads: int) -> dict[str, Any]:
    """A budget that leaves each of two workers so many threads' memory, twice for a reload."""
    return {"plan.budget_bytes": ASYNC.needed_bytes + 2 * 2 * threads * 128 * KIB}


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "anyio.tokens": [
        (MANY | FULL, 128),
        # 32 each would do: the 40 stay.
        (serving(UVICORN_WORKER, 2, rps=1600) | FULL, 40),
        # Once mended one worker is enough, and has them all.
        (
            MANY | FULL | {"plan.mended": planned(UVICORN_WORKER, 1, concurrency=256, rps=3000)},
            256,
        ),
        (MANY | FULL | left(60), 60),
        (MANY | FULL | left(10), 40),
        (MANY | FULL | {"plan.budget_bytes": 1}, 40),
        (MANY | FULL | database(210, 10), 50),
        (MANY | FULL | database(210, 10) | {"hosts": ["a:80", "b:80"]}, 40),
        (seen(planned(UVICORN_WORKER, 1, concurrency=5000)) | FULL, 1024),
        (MANY | limited("concurrency", in_service_per_worker=5), SILENT),
        (MANY | limited("cpu"), SILENT),
        (serving(GTHREAD, 2, 64) | FULL, SILENT),
    ],
}
