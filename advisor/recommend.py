"""Facts, measurement and intent joined into a recommendation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor import evidence
from advisor.documents import (
    APP_ENVIRONMENT,
    RECOMMENDATION_SCHEMA,
    Outlook,
    Prediction,
    Recommendation,
    Unknown,
)
from advisor.errors import InvalidInput, TooLittleEvidence
from advisor.known import known
from advisor.model.capacity import CLASSES
from advisor.model.choose import FALLBACK_THREADS, choose, fall_back
from advisor.model.constraints import Constraints, Pins
from advisor.model.queueing import saturating_population
from advisor.resolve import Resolution, resolve
from advisor.rules import consistency, findings, registry

if TYPE_CHECKING:
    from advisor.documents import Facts, Measurement, Server, Value
    from advisor.evidence import Amount
    from advisor.intent import Intent
    from advisor.model.capacity import Bracket, Demand
    from advisor.model.choose import Plan
    from advisor.model.memory import MemoryCost

MOST_CONCURRENCY = 1024


def recommend(
    facts: Facts,
    measurement: Measurement | None,
    intent: Intent | None,
    *,
    server: Server | None,
    concurrency: int | None = None,
    cpus: float | None = None,
    memory_bytes: int | None = None,
) -> Recommendation:
    """Settings, findings and predictions for one app.

    `server` is the app as it runs, where it does. `concurrency` (requests in flight), `cpus` and
    `memory_bytes` are the command line's, and win over advisor.yml's.

    Raises `TooLittleEvidence` where no app is known, `NothingFeasible` where the budget holds
    no configuration, and `InvalidInput` for pins and keys that are wrong.
    """
    resolved = resolve(intent, server, measurement, facts.components)
    interface = resolved["app.interface"]
    pins = _joint_pins(resolved["pins"], interface)
    demand = evidence.demand_of(measurement, interface)
    cost = evidence.memory_cost(server, measurement, interface)
    cores = evidence.cpu_budget(
        facts,
        cpus if cpus is not None else resolved["budget.cpus"],
        "--cpus" if cpus is not None else "budget.cpus",
    )
    memory = evidence.memory_budget(
        facts,
        server,
        memory_bytes if memory_bytes is not None else resolved["budget.memory"],
        "--memory" if memory_bytes is not None else "budget.memory",
    )
    boot_s, boot_known = evidence.boot_cpu(server, measurement)
    asked = concurrency or resolved["targets.concurrency"]
    limits = Constraints(
        cores=cores.value,
        memory_bytes=int(memory.value),
        memory_source=memory.source,
        boot_cpu_s=boot_s,
        concurrency=_concurrency(asked, demand, cores.value, interface),
        rate_rps=resolved["targets.rate_rps"],
        p99_s=resolved["targets.p99_s"],
    )
    plan = _plan(interface, demand, cost, limits, pins)
    mended = (
        _plan(interface, demand.mended(), cost, limits, pins)
        if demand and (demand.blocked_s or demand.slots)
        else None
    )
    basis = evidence.Basis(
        evidence.confidence(demand, plan, cost, measurement),
        _inputs(demand, cost, limits, cores),
        memory.source,
    )
    decision = registry.decide(
        known(
            facts,
            measurement,
            resolved.values,
            plan=plan,
            basis=basis,
            budget_bytes=int(memory.value),
        ),
        resolved["pins"],
    )
    case = findings.Case(
        facts=facts,
        measurement=measurement,
        server=server,
        intent=resolved.values,
        plan=plan,
        mended=mended,
        boot_cpu_s=boot_s,
        cores=cores.value,
        budget_bytes=int(memory.value),
    )
    broken = consistency.check(
        decision.settings,
        {"kernel.somaxconn": facts.kernel.somaxconn, "plan.needed_bytes": plan.needed_bytes},
    )
    return Recommendation.model_validate(
        {
            "schema": RECOMMENDATION_SCHEMA,
            "app": {
                "name": resolved["app.name"],
                "module": resolved["app.module"],
                "interface": interface,
            },
            "host": {"name": facts.host.name},
            "components": facts.components,
            "intent": resolved.values,
            "settings": decision.settings,
            "findings": [*broken, *findings.find(case)],
            "prediction": _outlook(plan),
            "unknown": [
                *evidence.not_measured(measurement, demand),
                *_about(plan, demand, cost, asked=asked, boot_known=boot_known, resolved=resolved),
                *resolved.unknown,
                *(gap for gap in facts.unknown if server is None and gap.what == APP_ENVIRONMENT),
                *decision.unknown,
            ],
        }
    )


def check_intent(intent: Intent) -> None:
    """`InvalidInput` for what can be seen to be wrong before anything is measured."""
    registry.check_pins(intent.pins)


def require_measured(measurement: Measurement | None) -> None:
    """`TooLittleEvidence` unless the measurement carries a service demand."""
    if measurement is None:
        raise TooLittleEvidence(
            "--require-measured: nothing was measured",
            remedy="Give the URL of the running app, or --measurement FILE.",
        )
    if evidence.demand_of(measurement, "") is None:
        raise TooLittleEvidence(
            "--require-measured: the measurement has no usable CPU and waiting time a request",
            remedy="Measure on the app's own host, where its processes can be seen.",
        )


def _plan(
    interface: str, demand: Demand | None, cost: MemoryCost, limits: Constraints, pins: Pins
) -> Plan:
    if demand is None:
        return fall_back(interface, cost, limits, pins)
    return choose(interface, demand, cost, limits, pins)


def _joint_pins(pins: dict[str, Value], interface: str) -> Pins:
    """The pins that bind the model; `InvalidInput` where they contradict the app or each other."""
    registry.check_pins(pins)
    name = pins.get("gunicorn.worker_class")
    workers, threads = pins.get("gunicorn.workers"), pins.get("gunicorn.threads")
    if isinstance(name, str) and CLASSES[name].interface != interface:
        raise InvalidInput(
            f"advisor.yml: pins: gunicorn.worker_class: {name} runs "
            f"{CLASSES[name].interface.upper()} apps, "
            f"but app.interface is {interface}",
            remedy="Remove the pin, or set app.interface.",
        )
    if name == "sync" and isinstance(threads, int) and threads > 1:
        raise InvalidInput(
            f"advisor.yml: pins: gunicorn.worker_class: sync and gunicorn.threads: {threads} "
            "contradict each other: Gunicorn makes that gthread",
            remedy="Pin gthread, or one thread.",
        )
    return Pins(
        worker_class=name if isinstance(name, str) else None,
        workers=workers if isinstance(workers, int) else None,
        threads=threads if isinstance(threads, int) else None,
    )


def _concurrency(asked: int | None, demand: Demand | None, cores: float, interface: str) -> int:
    """What was asked for, else what saturates the CPU, at most 1,024."""
    if asked:
        return asked
    if demand is None:
        return max(1, int(cores)) * (FALLBACK_THREADS if interface == "wsgi" else 1)
    saturating = saturating_population(cores, demand.cpu_s, demand.wait_s + demand.blocked_s)
    return min(MOST_CONCURRENCY, saturating)


def _inputs(
    demand: Demand | None, cost: MemoryCost, limits: Constraints, cores: Amount
) -> dict[str, Value]:
    measured: dict[str, Value] = {}
    if demand:
        measured = {
            "cpu_per_request_s": demand.cpu_s,
            "wait_per_request_s": demand.wait_s,
            "blocked_per_request_s": demand.blocked_s,
        }
    return {
        "cpu.effective": cores.value,
        "cpu.binding": cores.source,
        **measured,
        "concurrency": limits.concurrency,
        "memory_budget_bytes": limits.memory_bytes,
        "memory_base_bytes": cost.base_bytes,
        "memory_per_worker_bytes": cost.worker_bytes,
        "boot_cpu_s": limits.boot_cpu_s,
    }


def _outlook(plan: Plan) -> Outlook:
    return Outlook(
        concurrency=plan.concurrency,
        throughput_rps=_prediction(plan.throughput, 1),
        latency_p50_s=_prediction(plan.response, 6),
        latency_p99_s=_prediction(plan.p99, 6),
        memory_bytes=_prediction(plan.memory, 0),
    )


def _prediction(bracket: Bracket | None, digits: int) -> Prediction | None:
    if bracket is None:
        return None
    value, low, high = (
        round(number, digits or None) for number in (bracket.value, bracket.low, bracket.high)
    )
    return Prediction(value=value, low=low, high=high)


def _about(
    plan: Plan,
    demand: Demand | None,
    cost: MemoryCost,
    *,
    asked: int | None,
    boot_known: bool,
    resolved: Resolution,
) -> list[Unknown]:
    """What the prediction leaves open, and what would close it."""
    out = []

    def add(what: str, why: str, remedy: str) -> None:
        out.append(Unknown(what=what, why=why, remedy=remedy))

    rate = resolved["targets.rate_rps"]
    if plan.throughput is not None and plan.p99 is None:
        if rate is None:
            add("latency_p99_s", "a tail depends on the rate", "Give targets.rate_rps.")
        else:
            why = (
                f"at {rate:g} requests/s some part is over 90 % busy, where tails are not predicted"
            )
            add("latency_p99_s", why, "Give more CPU, or a lower targets.rate_rps.")
    if resolved["targets.p99_s"] is not None and rate is None:
        add("targets.p99_s", "not acted on: a tail depends on the rate", "Give targets.rate_rps.")
    if not asked and demand and plan.concurrency == MOST_CONCURRENCY:
        why = "more than 1,024 requests in flight would saturate the CPU; predicted at 1,024"
        add("concurrency", why, "Give targets.concurrency or --concurrency.")
    if not cost.measured:
        why = (
            f"workers' memory could not be read; {cost.worker_bytes // 1024**2} MB each are assumed"
        )
        add("memory of a worker", why, "Start the app, and run as root or as its user.")
    if demand and not boot_known and plan.config.workers > 1:
        why = f"not measured; {evidence.ASSUMED_BOOT_CPU_S:g} s of CPU are assumed"
        add(
            "boot CPU of a worker", why, "Time the import: python -X importtime -c 'import MODULE'."
        )
    return out
