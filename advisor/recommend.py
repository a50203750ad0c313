"""Facts, measurement and intent joined into a recommendation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor import evidence, guards
from advisor.documents import (
    APP_ENVIRONMENT,
    RECOMMENDATION_SCHEMA,
    Outlook,
    Prediction,
    Recommendation,
    Unknown,
)
from advisor.errors import TooLittleEvidence
from advisor.known import known
from advisor.planning import MOST_CONCURRENCY, Asked, prepare
from advisor.resolve import Resolution, resolve
from advisor.rules import consistency, findings, registry
from advisor.rules.sensitivity import of_plan

if TYPE_CHECKING:
    from advisor.documents import Facts, Measurement, Server
    from advisor.intent import Intent
    from advisor.model.choose import Plan
    from advisor.model.service import Bracket
    from advisor.planning import Planning


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
    asked = Asked(concurrency, cpus, memory_bytes)
    planning = prepare(facts, measurement, resolved, server=server, asked=asked)
    plan, mended = planning.plan(), planning.mended()
    sure = evidence.confidence(planning.demand, plan, planning.cost, measurement)
    basis = evidence.Basis(
        sure,
        planning.inputs(),
        planning.memory.source,
        of_plan(planning.again, planning.inputs(), plan.config),
    )
    seen = known(
        facts,
        measurement,
        resolved.values,
        plan=plan,
        mended=mended,
        basis=basis,
        budget_bytes=planning.limits.memory_bytes,
        shares=planning.shares,
    )
    decision = registry.decide(seen, resolved["pins"])
    case = findings.Case(
        facts=facts,
        measurement=measurement,
        server=server,
        intent=resolved.values,
        plan=plan,
        mended=mended,
        boot_cpu_s=planning.limits.boot_cpu_s,
        cores=planning.limits.cores,
        budget_bytes=planning.limits.memory_bytes,
    )
    broken = consistency.check(decision.settings, seen)
    return Recommendation.model_validate(
        {
            "schema": RECOMMENDATION_SCHEMA,
            "app": {
                "name": resolved["app.name"],
                "module": resolved["app.module"],
                "interface": resolved["app.interface"],
            },
            "host": {"name": facts.host.name},
            "components": facts.components,
            "intent": resolved.values,
            "settings": decision.settings,
            "findings": [*broken, *findings.find(case)],
            "prediction": _outlook(plan),
            "unknown": [
                *evidence.not_measured(measurement, planning.demand),
                *_about(plan, planning, resolved),
                *_elsewhere(facts, measurement),
                *resolved.unknown,
                *(gap for gap in facts.unknown if server is None and gap.what == APP_ENVIRONMENT),
                *decision.unknown,
            ],
        }
    )


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


def _about(plan: Plan, planning: Planning, resolved: Resolution) -> list[Unknown]:
    """What the prediction leaves open, and what would close it."""
    out = []
    demand, cost = planning.demand, planning.cost

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
    if not planning.concurrency_asked and demand and plan.concurrency == MOST_CONCURRENCY:
        why = "more than 1,024 requests in flight would saturate the CPU; predicted at 1,024"
        add("concurrency", why, "Give targets.concurrency or --concurrency.")
    if not cost.measured:
        why = (
            f"workers' memory could not be read; {cost.worker_bytes // 1024**2} MB each are assumed"
        )
        add("memory of a worker", why, "Start the app, and run as root or as its user.")
    if demand and not planning.boot_known and plan.config.workers > 1:
        why = f"not measured; {evidence.ASSUMED_BOOT_CPU_S:g} s of CPU are assumed"
        add(
            "boot CPU of a worker", why, "Time the import: python -X importtime -c 'import MODULE'."
        )
    return out


def _elsewhere(facts: Facts, measurement: Measurement | None) -> list[Unknown]:
    gap = guards.elsewhere(facts, measurement) if measurement else None
    return [gap] if gap else []
