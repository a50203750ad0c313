"""Every rule's cases: what it says for which evidence, and where it says something else.

A case is the evidence the rule declares (what is left out is unknown) and the value it gives;
SILENT where the rule says nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from advisor.documents import Estimate
from advisor.evidence import Basis
from advisor.model.capacity import GTHREAD, SYNC, UVICORN_WORKER, Demand, WorkerClass
from advisor.model.choose import Plan, choose, fall_back
from advisor.model.constraints import Constraints, Pins
from advisor.model.memory import MemoryCost
from advisor.rules import RULES

MIB = 1024**2
SILENT = object()
COST = MemoryCost(20 * MIB, 30 * MIB, 128 * 1024, 0.95, 1.1, measured=True)
LIMITS = Constraints(2, 1024 * MIB, "a test", 0.5, 64)
INPUTS: dict[str, Any] = {
    "cpu.effective": 2,
    "cpu_per_request_s": 0.0003,
    "wait_per_request_s": 0.04,
}


def planned(interface: str, measured_as: WorkerClass, cpu: float, wait: float) -> Plan:
    demand = Demand(cpu, cpu, cpu, wait, 0.0, measured_as)
    return choose(interface, demand, COST, LIMITS, Pins())


def measured(value: float, spread: float = 0.1) -> Estimate:
    return Estimate(
        value=value, low=max(0, value * (1 - spread)), high=value * (1 + spread), n=5000
    )


WAITING = planned("wsgi", SYNC, 0.0003, 0.04)
COMPUTING = planned("wsgi", SYNC, 0.0003, 0.0)
ASYNC = planned("asgi", UVICORN_WORKER, 0.0003, 0.0)
UNMEASURED = fall_back("wsgi", COST, LIMITS, Pins())
BASIS = Basis("high", INPUTS, "--memory")


def plan(found: Plan, budget: int = 1024 * MIB) -> dict[str, Any]:
    return {"plan": found, "plan.basis": BASIS, "plan.budget_bytes": budget}


NGINX = {"proxy": "nginx"}
NO_PROXY = {"proxy": "none"}
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "gunicorn.workers": [(plan(WAITING), 1), (plan(COMPUTING), 2), (plan(UNMEASURED), 2)],
    "gunicorn.worker_class": [
        (plan(WAITING), "gthread"),
        (plan(COMPUTING), "sync"),
        (plan(ASYNC), "uvicorn_worker.UvicornWorker"),
    ],
    "gunicorn.threads": [(plan(WAITING), 64), (plan(COMPUTING), 1), (plan(UNMEASURED), 8)],
    "gunicorn.timeout": [
        ({"gunicorn.worker_class": "sync"}, 30),
        ({"gunicorn.worker_class": "sync", "latency_s.p99": measured(0.2)}, 30),
        # 4 x 22 s, up to the next ten.
        ({"gunicorn.worker_class": "sync", "latency_s.p99": measured(20)}, 90),
    ],
    "gunicorn.graceful_timeout": [
        ({"gunicorn.timeout": 30}, 30),
        ({"gunicorn.timeout": 90}, 90),
        ({"gunicorn.timeout": 1}, 30),
        ({"gunicorn.timeout": 3600}, 300),
    ],
    "gunicorn.keepalive": [
        (
            {
                "gunicorn.worker_class": worker_class,
                "nginx.upstream_keepalive": 64,
                "nginx.upstream_keepalive_timeout": idle,
            },
            expected,
        )
        for worker_class, idle, expected in [
            ("uvicorn_worker.UvicornWorker", 60, 75),
            ("gthread", 100, 115),
            ("sync", 60, SILENT),
        ]
    ],
    "gunicorn.backlog": [
        ({"kernel.somaxconn": 4096}, 2048),
        ({"kernel.somaxconn": 128}, 128),
        ({}, 2048),
    ],
    "gunicorn.max_requests": [
        (plan(WAITING), 0),
        (plan(WAITING) | {"memory_growth_bytes_per_request": measured(100, spread=1.5)}, 0),
        # 1 GiB less (20 + 2 x 37.9) x 1.1 = 105 MiB, at 110 bytes a request, in two digits.
        (plan(WAITING) | {"memory_growth_bytes_per_request": measured(100)}, 8_700_000),
        (plan(WAITING, 0) | {"memory_growth_bytes_per_request": measured(100)}, 1000),
    ],
    "gunicorn.max_requests_jitter": [
        ({"gunicorn.max_requests": 0}, 0),
        ({"gunicorn.max_requests": 5000}, 500),
        ({"gunicorn.max_requests": 3}, 1),
    ],
    "gunicorn.worker_tmp_dir": [({"host.os": "Debian GNU/Linux 12"}, "/dev/shm"), ({}, "/dev/shm")],
    "gunicorn.control_socket_disable": [
        ({"components.gunicorn.version": version}, expected)
        for version, expected in [
            ("27.0.1", True),
            ("25.1.0", True),
            ("25.0.3", SILENT),
            ("20.1.0", SILENT),
            ("unheard", SILENT),
        ]
    ],
    "gunicorn.preload_app": [
        ({"app.interface": "asgi"}, False),
        ({"app.interface": "wsgi"}, False),
    ],
    "nginx.upstream_keepalive": [
        (NGINX | plan(WAITING) | {"gunicorn.worker_class": "gthread"}, 64),
        (NGINX | plan(COMPUTING) | {"gunicorn.worker_class": "sync"}, SILENT),
        (NO_PROXY | plan(WAITING) | {"gunicorn.worker_class": "gthread"}, SILENT),
    ],
    "nginx.upstream_keepalive_timeout": [({"nginx.upstream_keepalive": 64}, 60)],
    "nginx.proxy_connect_timeout": [(NGINX, 5), (NO_PROXY, SILENT)],
    "nginx.proxy_read_timeout": [
        (NGINX | {"gunicorn.timeout": 30}, 60),
        (NGINX | {"gunicorn.timeout": 90}, 100),
        (NO_PROXY | {"gunicorn.timeout": 30}, SILENT),
    ],
    "nginx.proxy_send_timeout": [(NGINX, 60), (NO_PROXY, SILENT)],
    "nginx.proxy_buffering": [
        (NGINX | {"gunicorn.worker_class": "sync"}, True),
        (NO_PROXY | {"gunicorn.worker_class": "sync"}, SILENT),
    ],
    "nginx.client_max_body_size": [
        (NGINX | {"limits.request_body": 10 * MIB}, 10 * MIB),
        (NGINX, SILENT),
        (NO_PROXY | {"limits.request_body": 10 * MIB}, SILENT),
    ],
    "systemd.memory_max": [
        (plan(WAITING), 1024 * MIB),
        (plan(WAITING, 300 * MIB + 5), 300 * MIB),
        # Never below what is needed, up to the next page.
        (plan(WAITING, 1), -(-WAITING.needed_bytes // 4096) * 4096),
    ],
    "systemd.memory_high": [
        (plan(WAITING) | {"systemd.memory_max": 1000 * MIB}, 900 * MIB),
        (plan(WAITING) | {"systemd.memory_max": 40 * MIB}, 40 * MIB),
    ],
    "systemd.limit_nofile": [
        (plan(WAITING) | {"gunicorn.worker_class": "gthread", "gunicorn.threads": 64}, 4096),
        (plan(WAITING) | {"gunicorn.worker_class": "gthread", "gunicorn.threads": 1024}, 4096),
        (plan(COMPUTING) | {"gunicorn.worker_class": "sync", "gunicorn.threads": 1}, 1024),
    ],
    "systemd.timeout_stop_sec": [
        ({"gunicorn.graceful_timeout": 30}, 40),
        ({"gunicorn.graceful_timeout": 90}, 100),
    ],
    "systemd.socket_backlog": [
        ({"gunicorn.backlog": 2048}, 2048),
        ({"gunicorn.backlog": 128}, 128),
    ],
}
# These say the same wherever they speak; what makes them silent is a need without a value.
CONSTANT = {
    "gunicorn.preload_app",
    "gunicorn.worker_tmp_dir",
    "nginx.upstream_keepalive_timeout",
}


@pytest.mark.parametrize(
    ("rule_id", "seen", "expected"),
    [(id_, seen, expected) for id_, cases in CASES.items() for seen, expected in cases],
)
def test_a_rule_says(rule_id: str, seen: dict[str, Any], expected: Any) -> None:
    rule = RULES[rule_id]
    assert set(rule.needs) <= set(seen), "a case gives all that the rule needs"
    declared = {name: seen.get(name) for name in (*rule.needs, *rule.wants)}
    choice = rule.decide(declared)
    assert (SILENT if choice is None else choice.value) == expected
    if choice is not None:
        assert choice.why.endswith(".")


def test_every_rule_has_its_cases() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("rule_id", sorted(set(RULES) - CONSTANT))
def test_a_rule_has_cases_with_different_outcomes(rule_id: str) -> None:
    outcomes = [expected for _, expected in CASES[rule_id]]
    assert any(outcome != outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("rule_id", RULES)
def test_a_rule_cites_its_source_and_explains_itself(rule_id: str) -> None:
    rule = RULES[rule_id]
    assert rule.source
    assert rule.decide.__doc__
    assert rule.unit in {"processes", "threads", "s", "bytes", "connections", None}


def test_the_ids_are_the_contracts() -> None:
    components = [rule_id.partition(".")[0] for rule_id in RULES]
    assert components == sorted(components)
    assert len(RULES) == 24


def test_the_reason_for_the_workers_carries_the_figures() -> None:
    rule = RULES["gunicorn.workers"]
    choice = rule.decide(plan(WAITING))
    assert choice is not None
    assert "300 µs of CPU and 40 ms of waiting" in choice.why
    assert [other.value for other in choice.alternatives] == [2]
    assert choice.inputs == INPUTS


def test_gthread_is_chosen_by_its_model_not_by_its_name() -> None:
    assert WAITING.config.worker_class is GTHREAD
