"""Documents turned into demand, memory and budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor import evidence, files
from advisor.documents import (
    ClassCost,
    Component,
    Estimate,
    Facts,
    Limit,
    Measurement,
    Step,
    Worker,
)
from advisor.model.choose import choose
from advisor.model.classes import UVICORN_WORKER
from advisor.model.constraints import Constraints, Pins
from advisor.model.service import Configuration

EXAMPLES = Path(__file__).parents[1] / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
SERVER = FACTS.servers[0]
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
GIB = 1024**3


def changed(**updates: Any) -> Measurement:
    return MEASURED.model_copy(update=updates)


def verdict(name: str) -> Any:
    return MEASURED.limiter.model_copy(update={"verdict": name})


def estimate(value: float, n: int = 1000) -> Estimate:
    return Estimate(value=value, low=value * 0.9, high=value * 1.1, n=n)


def test_the_demand_of_the_example() -> None:
    demand = evidence.demand_of(MEASURED, "asgi")
    assert demand is not None
    # The cores hardly rested as it was measured.
    assert demand.cpu_s == pytest.approx(0.00019, rel=0.001)
    assert (demand.wait_s, demand.blocked_s) == (0.0021, 0.0)
    assert demand.cpu_low_s == pytest.approx(0.000183, rel=0.01)
    assert demand.cpu_high_s == 0.000197
    assert demand.measured_as is UVICORN_WORKER
    assert demand.ceiling_rps is None


def idling(used: float, workers: int = 5) -> Measurement:
    """The example as measured on workers that used so many of two cores."""
    seen = {"server_cpu_cores": used, "cpu_left_cores": 2.0, "connections": 32}
    return changed(
        limiter=MEASURED.limiter.model_copy(update={"verdict": "concurrency", "evidence": seen}),
        target=MEASURED.target.model_copy(update={"workers": workers}),
    )


@pytest.mark.parametrize(
    ("used", "workers", "planned"),
    [
        (1.9, 5, 0.00019),
        (1.0, 5, 0.000181),
        (1.0, 1, 0.00019),
        (0.5, 5, 0.000165),
        (0.0, 5, 0.000095),  # never below half of what was measured
    ],
)
def test_a_demand_measured_on_idle_workers_is_planned_lower(
    used: float, workers: int, planned: float
) -> None:
    measurement = idling(used, workers)
    demand = evidence.demand_of(measurement, "asgi")
    assert demand is not None
    assert demand.cpu_s == pytest.approx(planned, rel=0.01)
    assert demand.cpu_low_s <= min(0.000183, planned)
    assert demand.cpu_high_s == 0.000197
    said = [gap.what for gap in evidence.not_measured(measurement, demand)]
    assert ("CPU per request on busy workers" in said) == (planned < 0.00017)


@pytest.mark.parametrize(
    "measurement",
    [
        None,
        changed(cpu_per_request_s=None),
        changed(cpu_per_request_s=Estimate(value=0, low=0, high=0, n=10)),
        changed(cpu_per_request_s=estimate(0.001, n=1)),
        changed(wait_per_request_s=None, latency_s={"p50": None, "p99": None}),
    ],
)
def test_what_carries_no_demand(measurement: Measurement | None) -> None:
    assert evidence.demand_of(measurement, "asgi") is None


def test_a_missing_wait_is_the_median_less_the_cpu() -> None:
    demand = evidence.demand_of(changed(wait_per_request_s=None), "asgi")
    assert demand is not None
    assert demand.wait_s == pytest.approx(0.0024 - 0.00019)


def test_a_blocked_loops_wait_is_split() -> None:
    seen = changed(
        limiter=verdict("event-loop-blocked"),
        wait_per_request_s=estimate(0.052),
        blocked_per_request_s=estimate(0.050),
    )
    demand = evidence.demand_of(seen, "asgi")
    assert demand is not None
    assert demand.blocked_s == 0.050
    assert demand.wait_s == pytest.approx(0.002)


def test_blocking_counts_only_under_its_verdict() -> None:
    demand = evidence.demand_of(changed(blocked_per_request_s=estimate(0.001)), "asgi")
    assert demand is not None
    assert demand.blocked_s == 0


def test_the_knee_is_a_ceiling_only_under_downstream() -> None:
    demand = evidence.demand_of(changed(limiter=verdict("downstream")), "asgi")
    assert demand is not None
    assert demand.ceiling_rps == 8900


def test_a_worker_costs_its_uss_and_the_base_holds_what_is_shared() -> None:
    cost = evidence.memory_cost(
        SERVER.model_copy(update={"master_pss_bytes": 18_000_000}), None, "asgi"
    )
    assert cost.measured
    assert cost.worker_bytes == 27262976
    assert cost.base_bytes == 18_000_000 + 2 * (32505856 - 27262976)


def test_unread_memory_is_assumed_on_the_cautious_side() -> None:
    denied = [Worker(pid=815, pss_bytes=None, uss_bytes=None)]
    cost = evidence.memory_cost(SERVER.model_copy(update={"workers": denied}), None, "asgi")
    assert not cost.measured
    # Twice a bare app's 31 MB, half as much again planned for.
    assert cost.steady(Configuration(UVICORN_WORKER, 1)).high >= 3 * 31_000_000


def test_a_reload_needs_every_worker_twice() -> None:
    cost = evidence.memory_cost(SERVER, None, "asgi")
    config = Configuration(UVICORN_WORKER, 3)
    steady = cost.steady(config)
    assert cost.needed(config) == int((steady.value + 3 * cost.worker_bytes) * cost.high_ratio)


def limited(*limits: Limit, pid: int | None = None, available: int = 8 * GIB) -> Facts:
    memory = FACTS.memory.model_copy(update={"limits": list(limits), "available_bytes": available})
    return FACTS.model_copy(update={"memory": memory, "pid": pid})


def limit(value: int | None, used: int | None) -> Limit:
    return Limit(source="/cg/memory.max", kind="max", value=value, used_bytes=used)


OWN = 2 * 32505856


@pytest.mark.parametrize(
    ("facts", "left", "source"),
    [
        # Free on the host, and what the app itself holds.
        (limited(), 8 * GIB + OWN, "/proc/meminfo"),
        (limited(limit(None, GIB)), 8 * GIB + OWN, "/proc/meminfo"),
        # The limit's room; the app's own is in its use only when the facts are the app's.
        (limited(limit(4 * GIB, GIB)), 3 * GIB, "/cg/memory.max"),
        (limited(limit(4 * GIB, GIB), pid=812), 3 * GIB + OWN, "/cg/memory.max"),
        (limited(limit(4 * GIB, GIB), pid=815), 3 * GIB + OWN, "/cg/memory.max"),
        # Never more than the limit, never less than nothing.
        (limited(limit(4 * GIB, 0), pid=812), 4 * GIB, "/cg/memory.max"),
        (limited(limit(GIB, 2 * GIB)), 0, "/cg/memory.max"),
        (limited(limit(4 * GIB, None)), 4 * GIB, "/cg/memory.max"),
        # The smallest of several.
        (limited(limit(4 * GIB, 0), available=GIB), GIB + OWN, "/proc/meminfo"),
    ],
)
def test_the_budget_is_nine_tenths_of_what_is_left(facts: Facts, left: int, source: str) -> None:
    budget = evidence.memory_budget(facts, SERVER, None, "unused")
    assert int(0.9 * left) * 31 // 32 <= budget.value <= 0.9 * left
    assert source in budget.source


def test_a_host_looked_at_again_has_the_same_budget() -> None:
    free = [9 * GIB - each * 4096 for each in range(1000, 3000)]
    budgets = {
        evidence.memory_budget(limited(available=each), SERVER, None, "unused").value
        for each in free
    }
    assert len(budgets) == 1


def test_a_budget_that_was_given_is_taken_whole() -> None:
    budget = evidence.memory_budget(limited(limit(GIB, GIB)), SERVER, 700, "--memory")
    assert (budget.value, budget.source) == (700, "--memory")
    assert evidence.cpu_budget(FACTS, 16, "--cpus").value == 16
    assert evidence.cpu_budget(FACTS, None, "--cpus").source == FACTS.cpu.binding


def test_boot_cpu_is_the_slowest_workers_or_assumed() -> None:
    workers = [
        w.model_copy(update={"boot_cpu_s": s}) for w, s in zip(SERVER.workers, (1, 2), strict=True)
    ]
    assert evidence.boot_cpu(SERVER.model_copy(update={"workers": workers}), None) == (2, True)
    assert evidence.boot_cpu(SERVER, None) == (evidence.ASSUMED_BOOT_CPU_S, False)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({}, {"uvicorn_worker.UvicornWorker"}),
        ({"gunicorn": "23.0.0"}, {"uvicorn_worker.UvicornWorker"}),
        ({"gunicorn": "25.0.3"}, {"uvicorn_worker.UvicornWorker"}),  # still beta
        ({"gunicorn": "25.1.0"}, {"uvicorn_worker.UvicornWorker", "asgi"}),
        (
            {"gunicorn": "27.0.1", "uvicorn-worker": "0.4.0"},
            {"uvicorn_worker.UvicornWorker", "asgi"},
        ),
        ({"gunicorn": "27.0.1", "fastapi": "0.165.0"}, {"asgi"}),
        ({"gunicorn": "27.0.1"}, {"uvicorn_worker.UvicornWorker", "asgi"}),
        ({"uvicorn-worker": "0.4.0"}, {"uvicorn_worker.UvicornWorker"}),
    ],
)
def test_gunicorns_own_class_where_it_has_one_and_alone_where_the_other_is_missing(
    versions: dict[str, str], expected: set[str]
) -> None:
    found = {name: Component(version=version) for name, version in versions.items()}
    offered = evidence.classes_of(None, "gunicorn", "asgi", found)
    assert {each.name for each in offered} == expected


def test_a_measured_class_cost_replaces_the_tables() -> None:
    costs = {
        "sync": ClassCost(cpu_s=6e-5, held_s=6e-5),
        "gthread": ClassCost(cpu_s=1e-4, held_s=2e-4),
    }
    offered = evidence.classes_of(changed(class_costs=costs), "gunicorn", "wsgi", {})
    assert offered[1].cost_s == pytest.approx(4e-5)
    demand = evidence.demand_of(MEASURED, "asgi", offered=offered)
    assert demand is not None


def test_a_proxy_in_front_adds_its_hop_once() -> None:
    demand = evidence.demand_of(MEASURED, "asgi")
    assert demand is not None
    direct = evidence.behind(demand, "nginx", MEASURED, own_budget=False)
    assert direct.hop_s > 0
    assert direct.proxy_s > 0
    assert evidence.behind(demand, "nginx", MEASURED, own_budget=True).proxy_s == 0
    assert evidence.behind(demand, "none", MEASURED, own_budget=False) == demand
    through = MEASURED.target.model_copy(update={"through": ["nginx"]})
    assert evidence.behind(demand, "nginx", changed(target=through), own_budget=False) == demand


def test_a_proxy_is_as_slow_as_the_hosts_sockets_are() -> None:
    demand = evidence.demand_of(MEASURED, "asgi")
    assert demand is not None

    def proxied(null_s: float) -> float:
        measured = changed(class_costs={"sync": ClassCost(cpu_s=null_s, held_s=null_s)})
        return evidence.behind(demand, "nginx", measured, own_budget=False).proxy_s

    assert proxied(1.7e-4) == pytest.approx(2 * proxied(8.5e-5))
    table = evidence.behind(demand, "nginx", MEASURED, own_budget=False)
    assert proxied(8.5e-5) == pytest.approx(table.proxy_s)


def test_what_the_app_uses_now_is_its_own_to_spend_where_the_limit_holds_it() -> None:
    """Inside the app's cgroup its own memory counts as used, seen from outside it does not."""
    cgroup = limit(2 * GIB, GIB)
    own = evidence.own_bytes(SERVER)
    assert own > 50 * 1024**2
    outside, inside = (
        evidence.memory_budget(limited(cgroup, pid=pid), SERVER, None, "unused").value
        for pid in (None, SERVER.pid)
    )
    assert inside - outside == pytest.approx(0.9 * own, rel=0.35)


def test_workers_grow_a_tenth_beyond_what_was_seen() -> None:
    cost = evidence.memory_cost(SERVER, None, "asgi")
    assert cost.high_ratio == 1.1


@pytest.mark.parametrize(
    ("changes", "sure"),
    [
        ({}, "high"),
        ({"cpu_per_request_s": Estimate(value=0.0002, low=0.00015, high=0.00025, n=9)}, "medium"),
        ({"limiter": verdict("unknown")}, "medium"),
    ],
)
def test_confidence_is_high_with_a_narrow_interval_and_a_verdict(
    changes: dict[str, Any], sure: str
) -> None:
    measurement = changed(**changes)
    demand = evidence.demand_of(measurement, "asgi")
    cost = evidence.memory_cost(SERVER, measurement, "asgi")
    assert demand is not None
    limits = Constraints(2, 8 * GIB, "a test", 0.5, 64)
    plan = choose("asgi", demand, cost, limits, Pins(worker_class="uvicorn_worker.UvicornWorker"))
    assert evidence.confidence(demand, plan, cost, measurement) == sure
    other = choose("asgi", demand, cost, limits, Pins(worker_class="asgi"))
    assert evidence.confidence(demand, other, cost, measurement) == "medium"


def test_what_waits_together_was_planned_with_less_of_waking_up() -> None:
    """Steps at which requests took as long as entirely in step, on cores that mostly rested."""
    first = MEASURED.throughput.steps[0]
    wait_s, cpu_s = 0.020, 0.0015
    steps = [
        first.model_copy(
            update={"connections": each, "rps": rps, "cpu_per_request_s": cpu_s, "queue": None}
        )
        for each, rps in ((2, 2 / 0.023), (4, 4 / 0.026), (64, 232.0))
    ]
    apart = [step.model_copy(update={"rps": step.connections / 0.0216}) for step in steps[:2]]

    def planned(steps: list[Step]) -> float:
        throughput = MEASURED.throughput.model_copy(
            update={"steps": steps, "knee_rps": estimate(232.0)}
        )
        told = {"server_cpu_cores": 0.35, "cpu_left_cores": 2.0, "in_service_per_worker": 5}
        measurement = changed(
            throughput=throughput,
            target=MEASURED.target.model_copy(update={"workers": 1}),
            limiter=verdict("concurrency").model_copy(update={"evidence": told}),
            cpu_per_request_s=estimate(cpu_s),
            wait_per_request_s=estimate(wait_s),
            class_costs={
                "uvicorn_worker.UvicornWorker": ClassCost(cpu_s=1e-4, held_s=1e-4, wake_s=3e-4)
            },
        )
        demand = evidence.demand_of(measurement, "asgi")
        assert demand is not None
        return demand.cpu_s

    assert planned(steps) > planned([*apart, steps[2]]) + 0.0001


@pytest.mark.parametrize("key", ["tokens", "in_service_per_worker"])
def test_only_the_limit_of_threads_says_that_requests_run_in_threads(key: str) -> None:
    told = verdict("concurrency").model_copy(update={"evidence": {key: 40}})
    demand = evidence.demand_of(changed(limiter=told), "asgi")
    assert demand is not None
    assert (demand.slots, demand.in_threads) == (40, key == "tokens")
