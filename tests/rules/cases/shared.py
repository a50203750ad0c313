"""What the cases of the rules share: plans, and what stands for silence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Estimate
from advisor.evidence import Basis
from advisor.model.choose import Plan, choose, fall_back
from advisor.model.classes import SYNC, UVICORN_WORKER, WorkerClass
from advisor.model.constraints import Constraints, Pins
from advisor.model.memory import MemoryCost
from advisor.model.service import Demand

MIB = 1024**2
SILENT = object()
COST = MemoryCost(20 * MIB, 30 * MIB, 128 * 1024, 0.95, 1.1, measured=True)
LIMITS = Constraints(2, 1024 * MIB, "a test", 0.5, 64)
INPUTS: dict[str, Any] = {
    "cpu.effective": 2,
    "cpu_per_request_s": 0.0003,
    "wait_per_request_s": 0.04,
}


def planned(
    interface: str, measured_as: WorkerClass, cpu: float, wait: float, pins: Pins | None = None
) -> Plan:
    demand = Demand(cpu, cpu, cpu, wait, 0.0, measured_as)
    return choose(interface, demand, COST, LIMITS, pins or Pins())


def measured(value: float, spread: float = 0.1) -> Estimate:
    return Estimate(
        value=value, low=max(0, value * (1 - spread)), high=value * (1 + spread), n=5000
    )


# Pinned, so that what builds on it does not move with the model.
WAITING = planned("wsgi", SYNC, 0.0003, 0.04, Pins(workers=1, threads=64))
COMPUTING = planned("wsgi", SYNC, 0.0003, 0.0)
ASYNC = planned("asgi", UVICORN_WORKER, 0.0003, 0.0)
UNMEASURED = fall_back("wsgi", COST, LIMITS, Pins())
BASIS = Basis("high", INPUTS, "--memory")


def plan(found: Plan, budget: int = 1024 * MIB) -> dict[str, Any]:
    return {"plan": found, "plan.basis": BASIS, "plan.budget_bytes": budget}


NGINX = {"proxy": "nginx"}
NO_PROXY = {"proxy": "none"}
