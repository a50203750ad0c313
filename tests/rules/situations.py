"""A case with nothing to find, and how it is changed: what the tests of findings share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from advisor import files
from advisor.documents import (
    Component,
    Estimate,
    Facts,
    Measurement,
    Redis,
    Resolved,
    Server,
    Unknown,
    Worker,
)
from advisor.model.choose import choose
from advisor.model.classes import UVICORN_WORKER
from advisor.model.constraints import Constraints, Pins
from advisor.model.memory import MemoryCost
from advisor.model.service import Demand
from advisor.rules.findings import Case

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
    "app.environment": ({}, "default"),
    "server": ("gunicorn", "observed"),
    "domain": (None, "config"),
    "tls": (None, "default"),
    "proxy": ("none", "config"),
    "hosts": ([], "default"),
    "targets.rate_rps": (None, "default"),
    "targets.p99_s": (None, "default"),
    "budget.cpus": (None, "default"),
    "database.max_connections": (None, "default"),
    "database.reserved": (None, "default"),
    "redis.role": (None, "default"),
    "pins": ({}, "default"),
}


def intent(**changes: Any) -> dict[str, Resolved]:
    """The calm intent with changes: a value from advisor.yml, or `(value, where from)`."""
    given = CALM | {
        key.replace("__", "."): value if isinstance(value, tuple) else (value, "config")
        for key, value in changes.items()
    }
    return {
        key: Resolved.model_validate({"value": value, "from": source})
        for key, (value, source) in given.items()
    }


def calm() -> Case:
    """A case with nothing to find."""
    components = FACTS.components | {"uvicorn-worker": Component(version="0.4.0")}
    facts = FACTS.model_copy(update={"components": components, "servers": [SERVER]})
    return Case(
        facts=facts,
        measurement=MEASURED,
        server=SERVER,
        intent=intent(),
        plan=choose("asgi", replace(BLOCKED, blocked_s=0.0), COST, LIMITS, Pins()),
        mended=None,
        boot_cpu_s=0.5,
        cores=2,
        budget_bytes=1024 * MIB,
    )


def wants(case: Case, **changes: Any) -> Case:
    return replace(case, intent=intent(**changes))


def without(case: Case, component: str) -> Case:
    return found(case, **{component: None})


def found(case: Case, **components: str | None) -> Case:
    """The case with components of these versions; None takes one away."""
    given = {name.replace("_", "-"): version for name, version in components.items()}
    kept = {name: one for name, one in case.facts.components.items() if name not in given}
    new = {name: Component(version=version) for name, version in given.items() if version}
    return replace(case, facts=case.facts.model_copy(update={"components": kept | new}))


def of(case: Case, **server: Any) -> Case:
    """The case with another server; `settings` are those that a source gives."""
    return replace(case, server=SERVER.model_copy(update=server))


def runs(case: Case, kind: str, *, alone: bool = False, **settings: Any) -> Case:
    """The case with a server of another kind, one process where it is `alone`."""
    one = Worker(pid=SERVER.pid, pss_bytes=None, uss_bytes=None)
    return of(
        case,
        kind=kind,
        worker_class=kind,
        settings=settings,
        workers=[one] if alone else SERVER.workers,
    )


def host(case: Case, part: str, **changes: Any) -> Case:
    """The case with another `cpu`, `memory` or `kernel`."""
    new = getattr(case.facts, part).model_copy(update=changes)
    return replace(case, facts=case.facts.model_copy(update={part: new}))


def beside(case: Case, *servers: Server) -> Case:
    both = [*case.facts.servers, *servers]
    return replace(case, facts=case.facts.model_copy(update={"servers": both}))


def hides(case: Case, what: str) -> Case:
    """The case in which something of the server's could not be read."""
    server = case.server or SERVER
    gap = Unknown(what=f"{what} of pid {server.pid} ({server.kind})", why="denied", remedy="root")
    return replace(case, facts=case.facts.model_copy(update={"unknown": [gap]}))


def seen(case: Case, verdict: str = "cpu", **evidence: Any) -> Case:
    """The case measured with this verdict and these figures."""
    limiter = MEASURED.limiter.model_copy(update={"verdict": verdict, "evidence": evidence})
    return measured(case, limiter=limiter)


def measured(case: Case, **changes: Any) -> Case:
    before = case.measurement or MEASURED
    return replace(case, measurement=before.model_copy(update=changes))


def slow(case: Case, p99: float) -> Case:
    took = Estimate(value=p99, low=p99 * 0.9, high=p99 * 1.1, n=5000)
    return measured(case, latency_s={"p50": took, "p99": took})


def through(case: Case, *proxies: str) -> Case:
    before = case.measurement or MEASURED
    return measured(case, target=before.target.model_copy(update={"through": list(proxies)}))


def in_flight(case: Case, number: int) -> Case:
    return replace(case, plan=replace(case.plan, concurrency=number))


def on(case: Case, *, workers: int) -> Case:
    """The case in which so many workers are planned for."""
    return replace(case, plan=replace(case.plan, config=replace(case.plan.config, workers=workers)))


def store(case: Case, **changes: Any) -> Case:
    """The case with a Redis beside the app, which keeps to its limits unless changed."""
    calm_store = Redis(
        address="127.0.0.1:6379",
        version="7.0.15",
        maxmemory_bytes=256 * MIB,
        maxmemory_policy="noeviction",
        used_bytes=10 * MIB,
        peak_bytes=12 * MIB,
        hit_ratio=0.9,
        evicted_keys=0,
        keys=10,
        keys_without_expiry=0,
        persistence=[],
        io_threads=1,
        broker_of=None,
    )
    redis = calm_store.model_copy(update=changes)
    return replace(case, facts=case.facts.model_copy(update={"redis": [redis]}))
