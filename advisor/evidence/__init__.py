"""From documents to what model and rules take: demand, budget, and how sure both are. Pure."""

from advisor.evidence.budget import (
    ASSUMED_BOOT_CPU_S,
    Amount,
    boot_cpu,
    cpu_budget,
    memory_budget,
    memory_cost,
    own_bytes,
    workers_of,
)
from advisor.evidence.confidence import Basis, confidence, measured_cpu, not_measured
from advisor.evidence.demand import behind, classes_of, demand_of

__all__ = [
    "ASSUMED_BOOT_CPU_S",
    "Amount",
    "Basis",
    "behind",
    "boot_cpu",
    "classes_of",
    "confidence",
    "cpu_budget",
    "demand_of",
    "measured_cpu",
    "memory_budget",
    "memory_cost",
    "not_measured",
    "own_bytes",
    "workers_of",
]
