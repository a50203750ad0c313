"""RQ's workers beside the web. Each takes one job at a time and forks a process for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.rules import background
from advisor.rules.registry import Choice, Seen, rule

if TYPE_CHECKING:
    from advisor.model.sharing import Shares

NEEDS = ("background.rq", "shares")


@rule(
    "rq.workers",
    needs=NEEDS,
    unit="processes",
    accepts=Annotated[int, Field(gt=0, le=1024)],
    default=1,
    source="RQ: docs, Workers: no concurrency within a worker",
    optional=True,
)
def workers(s: Seen) -> Choice:
    """What the sharing of the budget gives: one a core where jobs compute, two where they wait."""
    shares: Shares = s["shares"]
    number = shares.background["rq"]
    if not number:
        return background.least(shares)
    computes = s["background.rq"]["kind"] == "cpu"
    return Choice(
        number,
        f"Not measured: at most one a core, and {number} here; each does one job at a time."
        if computes
        else f"Not measured: up to two a core, and {number} here, for jobs that mostly wait.",
        confidence="medium" if computes else "low",
        inputs=background.inputs(shares),
    )


@rule(
    "rq.cpu_weight",
    needs=NEEDS,
    accepts=background.Weight,
    default=100,
    source="systemd.resource-control(5), CPUWeight",
    optional=True,
)
def cpu_weight(s: Seen) -> Choice | None:
    """Less than the web's where jobs compute; silent where they wait."""
    return background.weight(s["shares"], s["background.rq"]["kind"])
