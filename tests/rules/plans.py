"""Plans as a rule sees them, and what else the rules of the app's code build on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from advisor.documents import Limiter
from advisor.model.service import Bracket, Configuration
from tests.rules.cases.shared import ASYNC, MIB

if TYPE_CHECKING:
    from advisor.documents import Scalar
    from advisor.documents.measurement import Verdict
    from advisor.model.choose import Plan
    from advisor.model.classes import WorkerClass


def planned(
    worker_class: WorkerClass,
    workers: int,
    threads: int = 1,
    *,
    concurrency: int = 64,
    rps: float | None = None,
) -> Plan:
    """A plan of so many workers that serves `rps`; not measured where that is None."""
    return replace(
        ASYNC,
        config=Configuration(worker_class, workers, threads),
        concurrency=concurrency,
        throughput=Bracket(rps, rps, rps) if rps is not None else None,
    )


def seen(plan: Plan) -> dict[str, Any]:
    """The plan as the evidence has it."""
    config = plan.config
    return {
        "plan": plan,
        "plan.kind": config.worker_class.kind,
        "plan.workers": config.workers,
        "plan.threads": config.threads,
        "plan.concurrency": plan.concurrency,
        "plan.budget_bytes": 1024 * MIB,
    }


def serving(
    worker_class: WorkerClass,
    workers: int,
    threads: int = 1,
    *,
    concurrency: int = 64,
    rps: float | None = None,
) -> dict[str, Any]:
    """`planned` as the evidence has it."""
    return seen(planned(worker_class, workers, threads, concurrency=concurrency, rps=rps))


def database(most: int, reserved: int | None = None) -> dict[str, Any]:
    return {"database.max_connections": most, "database.reserved": reserved}


def limited(verdict: Verdict, **evidence: Scalar) -> dict[str, Any]:
    limiter = Limiter(verdict=verdict, confidence=0.8, why="a test", evidence=evidence)
    return {"limiter": limiter}
