"""How sure a plan is, and what a measurement leaves open. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown
from advisor.quantities import duration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Measurement, Sensitivity, Value
    from advisor.model.choose import Plan
    from advisor.model.memory import MemoryCost
    from advisor.model.service import Demand


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan stands on: how sure it is, the figures it was computed from, its budget.

    `sensitivity` has, for the parts of the plan by name, which inputs would change them.
    """

    confidence: Literal["high", "medium", "low"]
    inputs: dict[str, Value]
    budget_source: str
    sensitivity: Mapping[str, list[Sensitivity]] = field(default_factory=dict)


def confidence(
    demand: Demand | None, plan: Plan, cost: MemoryCost, measurement: Measurement | None
) -> Literal["high", "medium", "low"]:
    """High only for the class that was measured, with a verdict and a narrow interval."""
    if demand is None or measurement is None:
        return "low"
    narrow = demand.cpu_high_s - demand.cpu_low_s <= 0.2 * demand.cpu_s
    same = demand.measured_as and demand.measured_as.name == plan.config.worker_class.name
    told = measurement.limiter.verdict not in {"unknown", "client"}
    sure = narrow and same and told and cost.measured
    return "high" if sure else "medium"


def not_measured(measurement: Measurement | None, demand: Demand | None) -> list[Unknown]:
    """What stays unknown for want of a measurement that carries it."""
    if measurement is None:
        return [
            Unknown(
                what="throughput and latency",
                why="nothing was measured: workers, class and threads are a fall-back",
                remedy="Run advisor recommend URL with a route of the running app.",
            )
        ]
    out = []
    if demand is not None and demand.cpu_s < 0.9 * measured_cpu(measurement):
        out.append(
            Unknown(
                what="CPU per request on busy workers",
                why=f"measured while the CPU mostly idled ({duration(measured_cpu(measurement))}), "
                f"where a request costs more; planned with {duration(demand.cpu_s)}",
                remedy="Measure again once the app runs as recommended.",
            )
        )
    if demand is None:
        out.append(
            Unknown(
                what="throughput and latency",
                why="the measurement has no usable CPU and waiting time a request: "
                "workers, class and threads are a fall-back",
                remedy="Run advisor recommend URL on the app's own host, where its processes show.",
            )
        )
    if measurement.limiter.verdict in {"unknown", "client"}:
        out.append(
            Unknown(
                what="what limits the app",
                why=measurement.limiter.why,
                remedy="Measure again when the host is quiet.",
            )
        )
    return [*out, *measurement.unknown]


def measured_cpu(measurement: Measurement) -> float:
    """CPU seconds a request as measured, 0 where it was not."""
    return measurement.cpu_per_request_s.value if measurement.cpu_per_request_s else 0.0
