"""Everything that a rule may name, by name: intent, facts, measurement, the model's answer. Pure.

A name whose value is None is unknown, and a rule that needs it is silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.rules import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Facts, Measurement, Resolved
    from advisor.evidence import Basis
    from advisor.model.choose import Plan
    from advisor.model.sharing import Shares


def known(
    facts: Facts,
    measurement: Measurement | None,
    intent: Mapping[str, Resolved],
    *,
    plan: Plan,
    mended: Plan | None,
    basis: Basis,
    budget_bytes: int,
    shares: Shares,
) -> dict[str, Any]:
    """The evidence of one recommendation.

    - the intent's keys (`app.interface`, `limits.request_body`, `routes`, `hosts`, ...);
    - `host.os`, `kernel.*`, `cpu.*`, `memory.*` and `redis` (the first that runs) of the facts;
    - `components.NAME.version`, and `can.CAPABILITY` (rules/versions.py);
    - measured: `latency_s.p50`, `latency_s.p99`, `wait_per_request_s`, `http` (facts by route),
      `routes.measured`, `limiter`, `memory_growth_bytes_per_request`, `network`;
    - `plan`, `plan.mended` (once nothing blocks, if anything does), `plan.basis`,
      `plan.budget_bytes` and `plan.class`, `plan.kind`, `plan.workers`, `plan.threads`,
      `plan.concurrency` whatever the server is;
    - `shares`: how web and background work share the budget (model/sharing.py).
    """
    return {
        **{key: value.value for key, value in intent.items()},
        **_facts(facts),
        **(_measured(measurement) if measurement else {}),
        **versions.can(facts.components),
        "plan": plan,
        "plan.mended": mended,
        "plan.basis": basis,
        "plan.budget_bytes": budget_bytes,
        "shares": shares,
        "plan.class": plan.config.worker_class.name,
        "plan.kind": plan.config.worker_class.kind,
        "plan.workers": plan.config.workers,
        "plan.threads": plan.config.threads,
        "plan.concurrency": plan.concurrency,
    }


def _facts(facts: Facts) -> dict[str, Any]:
    kernel = facts.kernel.model_dump()
    return {
        "host.os": facts.host.os,
        "cpu.effective": facts.cpu.effective,
        "cpu.logical": facts.cpu.logical,
        "memory.total_bytes": facts.memory.total_bytes,
        "memory.effective_bytes": facts.memory.effective_bytes,
        "memory.available_bytes": facts.memory.available_bytes,
        "redis": facts.redis[0] if facts.redis else None,
        **{f"kernel.{name}": value for name, value in kernel.items()},
        **{f"components.{name}.version": one.version for name, one in facts.components.items()},
        **{f"components.{name}.modules": one.modules for name, one in facts.components.items()},
    }


def _measured(measurement: Measurement) -> dict[str, Any]:
    return {
        "latency_s.p50": measurement.latency_s.get("p50"),
        "latency_s.p99": measurement.latency_s.get("p99"),
        "cpu_per_request_s": measurement.cpu_per_request_s,
        "wait_per_request_s": measurement.wait_per_request_s,
        "memory_growth_bytes_per_request": measurement.memory_growth_bytes_per_request,
        "limiter": measurement.limiter,
        "target.through": measurement.target.through or None,
        "http": measurement.http or None,
        "routes.measured": measurement.routes or None,
        "network": measurement.network,
    }
