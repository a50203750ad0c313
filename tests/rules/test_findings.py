"""Every finding is made where it is due, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor import files
from advisor.documents import Component, Estimate, Facts, Measurement, Resolved
from advisor.model.capacity import UVICORN_WORKER, Demand
from advisor.model.choose import choose, fall_back
from advisor.model.constraints import Constraints, Pins
from advisor.model.memory import MemoryCost
from advisor.rules.findings import FINDINGS, Case, find

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parent.parent / "examples"
MIB = 1024**2
COST = MemoryCost(20 * MIB, 30 * MIB, 0, 0.95, 1.1, measured=True)
LIMITS = Constraints(2, 8192 * MIB, "a test", 0.5, 64)
BLOCKED = Demand(0.0003, 0.0003, 0.0003, 0.0, 0.05, UVICORN_WORKER)
FACTS = files.read(Facts, EXAMPLES / "facts.json")
SERVER = FACTS.servers[0].model_copy(update={"user": "shop", "python": "3.11.7"})
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
CALM: dict[str, tuple[Any, str]] = {
    "app.user": ("shop", "observed"),
    "app.health": ("/healthz", "observed"),
    "app.virtualenv": ("/srv/shop/venv", "observed"),
    "domain": (None, "config"),
    "proxy": ("none", "config"),
    "targets.rate_rps": (None, "default"),
    "targets.p99_s": (None, "default"),
    "pins": ({}, "default"),
}


def intent(**changes: tuple[Any, str]) -> dict[str, Resolved]:
    given = CALM | {key.replace("__", "."): value for key, value in changes.items()}
    return {
        key: Resolved.model_validate({"value": value, "from": source})
        for key, (value, source) in given.items()
    }


def calm() -> Case:
    """A case with nothing to find."""
    components = FACTS.components | {"uvicorn-worker": Component(version="0.4.0")}
    return Case(
        facts=FACTS.model_copy(update={"components": components}),
        measurement=MEASURED,
        server=SERVER,
        intent=intent(),
        plan=choose("asgi", replace(BLOCKED, blocked_s=0.0), COST, LIMITS, Pins()),
        mended=None,
        boot_cpu_s=0.5,
        cores=2,
        budget_bytes=1024 * MIB,
    )


def without(case: Case, component: str) -> Case:
    components = {k: v for k, v in case.facts.components.items() if k != component}
    return replace(case, facts=case.facts.model_copy(update={"components": components}))


def of(case: Case, **server: Any) -> Case:
    return replace(case, server=SERVER.model_copy(update=server))


def blocked(case: Case) -> Case:
    seen = Estimate(value=0.05, low=0.049, high=0.051, n=600)
    return replace(
        case,
        measurement=MEASURED.model_copy(
            update={
                "blocked_per_request_s": seen,
                "limiter": MEASURED.limiter.model_copy(update={"verdict": "event-loop-blocked"}),
            }
        ),
        plan=choose("asgi", BLOCKED, COST, LIMITS, Pins()),
        mended=choose("asgi", BLOCKED.mended(), COST, LIMITS, Pins()),
    )


def limited(case: Case, **evidence: Any) -> Case:
    seen = MEASURED.limiter.model_copy(update={"verdict": "concurrency", "evidence": evidence})
    held = Demand(0.0003, 0.0003, 0.0003, 0.050, slots=40)
    limits = replace(LIMITS, concurrency=300)
    return replace(
        case,
        measurement=MEASURED.model_copy(update={"limiter": seen}),
        plan=choose("asgi", held, COST, limits, Pins()),
        mended=choose("asgi", held.mended(), COST, limits, Pins()),
    )


def leaking(case: Case) -> Case:
    growth = Estimate(value=100, low=80, high=120, n=40000)
    grown = MEASURED.model_copy(update={"memory_growth_bytes_per_request": growth})
    return replace(case, measurement=grown)


def out_of_reach(case: Case) -> Case:
    limits = replace(LIMITS, rate_rps=1e6, p99_s=0.1)
    plan = choose("asgi", BLOCKED, COST, limits, Pins())
    wanted = intent(targets__rate_rps=(1e6, "config"), targets__p99_s=(0.1, "config"))
    return replace(case, plan=plan, intent=wanted)


# Each finding, a case in which it is made, and words that it has to hold.
MADE: dict[str, tuple[Callable[[Case], Case], tuple[str, ...]]] = {
    "event-loop-blocked": (blocked, ("50 ms", "As it is: 59 workers", "once mended: 1 worker")),
    "app-limit": (
        lambda case: limited(case, in_service_per_worker=39.8, tokens=40),
        ("40 requests at a time", "total_tokens = ", "As it is: ", "once mended: "),
    ),
    "targets-not-met": (out_of_reach, ("1,000,000/s within 100 ms", "stopped by")),
    "memory-leak": (leaking, ("98 K in 1,000 requests",)),
    "runs-as-root": (lambda case: of(case, user="root"), ("useradd --system shop",)),
    "no-user": (
        lambda case: replace(case, intent=intent(app__user=("shop", "default"))),
        ("shop",),
    ),
    "deprecated-worker-class": (
        lambda case: of(case, worker_class="uvicorn.workers.UvicornWorker"),
        ("pip install uvicorn-worker",),
    ),
    "gunicorn-missing": (
        lambda case: without(case, "gunicorn"),
        ("/srv/shop/venv/bin/pip install gunicorn",),
    ),
    "uvicorn-worker-missing": (
        lambda case: without(case, "uvicorn-worker"),
        ("/srv/shop/venv/bin/pip install uvicorn-worker",),
    ),
    "budget-over-host": (
        lambda case: replace(case, cores=16, budget_bytes=64 * 1024 * MIB),
        ("16 CPUs were asked for, 2 are there", "64.0 G were asked for, 4.0 G are there"),
    ),
    "slow-reload": (
        lambda case: replace(case, plan=fall_back("asgi", COST, LIMITS, Pins(workers=64))),
        ("64 workers boot for about 16 s on 2 CPUs",),
    ),
    "no-health-route": (
        lambda case: replace(case, intent=intent(app__health=("/items", "default"))),
        ("/items",),
    ),
    "no-domain": (
        lambda case: replace(case, intent=intent(proxy=("nginx", "default"))),
        ("127.0.0.1:8080",),
    ),
    "no-tls": (
        lambda case: replace(
            case, intent=intent(proxy=("nginx", "default"), domain=("shop.example", "config"))
        ),
        ("shop.example",),
    ),
}


def test_every_finding_has_its_case() -> None:
    assert set(MADE) == set(FINDINGS)


def test_a_calm_case_has_no_finding() -> None:
    assert find(calm()) == []


@pytest.mark.parametrize("finding_id", MADE)
def test_a_finding_is_made(finding_id: str) -> None:
    change, words = MADE[finding_id]
    (finding,) = find(change(calm()))
    assert finding.id == finding_id
    for word in words:
        assert word in f"{finding.title} {finding.detail} {finding.remedy}"
    assert finding.title
    assert not finding.title.endswith(".")
    assert finding.detail.endswith(".")


def test_the_gravest_comes_first() -> None:
    case = replace(blocked(calm()), intent=intent(app__user=("shop", "default")))
    case = replace(case, server=SERVER.model_copy(update={"user": "shop"}))
    found = find(without(case, "gunicorn"))
    assert [finding.severity for finding in found] == ["critical", "warning", "info"]


def test_a_pinned_deprecated_class_is_found_too() -> None:
    pinned = intent(pins=({"gunicorn.worker_class": "uvicorn.workers.UvicornWorker"}, "config"))
    assert [f.id for f in find(replace(calm(), intent=pinned))] == ["deprecated-worker-class"]


def test_a_package_is_missed_only_where_the_environment_was_looked_into() -> None:
    unseen = without(calm(), "gunicorn")
    assert find(replace(unseen, server=SERVER.model_copy(update={"python": None}))) == []
    assert find(replace(unseen, server=None)) == []
