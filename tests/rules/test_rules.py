"""Every rule's cases: what it says for which evidence, and where it says something else.

A case (in cases/, a module a component) is the evidence the rule declares (what is left out is
unknown) and the value it gives; SILENT where the rule says nothing. A module's CONSTANT rules
say the same wherever they speak; what makes them silent is a need without a value.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from advisor.model.classes import GTHREAD
from advisor.rules import RULES
from tests.rules.cases.shared import INPUTS, SILENT, WAITING, plan

MODULES = [
    import_module(f"tests.rules.cases.{path.stem}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.py"))
    if path.stem != "shared"
]
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {}
CONSTANT: set[str] = set()
for module in MODULES:
    assert not set(CASES) & set(module.CASES)
    CASES |= module.CASES
    CONSTANT |= getattr(module, "CONSTANT", set())


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
    assert rule.unit in {"processes", "threads", "s", "bytes", "connections", "rps", None}


def test_the_reason_for_the_workers_carries_the_figures() -> None:
    rule = RULES["gunicorn.workers"]
    choice = rule.decide(plan(WAITING) | {"server": "gunicorn"})
    assert choice is not None
    assert "300 µs of CPU and 40 ms of waiting" in choice.why
    assert [other.value for other in choice.alternatives] == [2]
    assert choice.inputs == INPUTS


def test_gthread_is_chosen_by_its_model_not_by_its_name() -> None:
    assert WAITING.config.worker_class is GTHREAD
