"""What change of an input would change a setting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Estimate, Sensitivity
from advisor.model.choose import choose
from advisor.model.classes import SYNC
from advisor.model.constraints import Constraints, Pins
from advisor.model.service import Demand
from advisor.rules import RULES
from advisor.rules.registry import Choice, Rule, Seen
from advisor.rules.sensitivity import MOST, SHIFTS, of_plan, of_rule
from tests.rules.cases.shared import COST, LIMITS, WAITING
from tests.rules.test_rules import CASES

if TYPE_CHECKING:
    from advisor.model.service import Configuration


def rule(decide: Any, *needs: str) -> Rule:
    return Rule("a.b", needs, (), None, int, None, "x", "file", False, decide)


def said(changes: list[Sensitivity]) -> list[tuple[str, Any, Any]]:
    return [(each.input, each.at, each.value) for each in changes]


def test_the_smallest_change_in_each_direction() -> None:
    longer = rule(lambda s: Choice(s["idle"] + 15, "So."), "idle")
    assert said(of_rule(longer, {"idle": 60}, 75)) == [("idle", 61, 76), ("idle", 59, 74)]
    # Only a doubling crosses this line.
    stepped = rule(lambda s: Choice(2 if s["cores"] >= 8 else 1, "So."), "cores")
    assert said(of_rule(stepped, {"cores": 4}, 1)) == [("cores", 8, 2)]


def test_bytes_are_not_moved_by_one() -> None:
    same = rule(lambda s: Choice(s["size"], "So."), "size")
    assert said(of_rule(same, {"size": 4096}, 4096)) == [
        ("size", 8192, 8192),
        ("size", 2048, 2048),
    ]


def test_a_switch_is_turned_and_silence_is_null() -> None:
    able = rule(lambda s: Choice(True, "So.") if s["can.x"] else None, "can.x")
    assert said(of_rule(able, {"can.x": True}, True)) == [("can.x", False, None)]


def test_a_measured_quantity_moves_with_its_interval() -> None:
    def slow(s: Seen) -> Choice:
        p99: Estimate = s["latency_s.p99"]
        return Choice(90 if p99.high > 10 else 30, "So.")

    p99 = Estimate(value=8.0, low=7.0, high=9.0, n=100)
    changes = of_rule(rule(slow, "latency_s.p99"), {"latency_s.p99": p99}, 30)
    assert said(changes) == [("latency_s.p99", 16.0, 90)]


def test_what_changes_nothing_and_what_is_text_is_not_named() -> None:
    constant = rule(lambda _: Choice(5, "So."), "idle", "version", "absent")
    seen = {"idle": 60, "version": "1.22.1", "absent": None}
    assert of_rule(constant, seen, 5) == []


def test_an_input_that_the_rule_was_not_written_for_is_passed_over() -> None:
    def careful(s: Seen) -> Choice:
        if s["cores"] > 4:
            raise ValueError
        return Choice(s["cores"], "So.")

    assert said(of_rule(rule(careful, "cores"), {"cores": 4}, 4)) == [
        ("cores", 3, 3),
    ]


def test_at_most_four_the_smallest_first() -> None:
    names = ("a", "b", "c")
    total = rule(lambda s: Choice(sum(s.values()), "So."), *names)
    found = of_rule(total, {"a": 10, "b": 50, "c": 20}, 80)
    assert said(found) == [("b", 51, 81), ("b", 49, 79), ("c", 21, 81), ("c", 19, 79)]
    assert len(found) == MOST


@given(st.integers(0, 2**40) | st.floats(0, 1e12) | st.booleans())
def test_any_number_may_be_an_input(number: float) -> None:
    echo = rule(lambda s: Choice(str(s["x"]), "So."), "x")
    for change in of_rule(echo, {"x": number}, str(number)):
        assert change.at != number
        assert change.value == str(change.at)


@pytest.mark.parametrize(
    ("rule_id", "seen"), [(id_, seen) for id_, cases in CASES.items() for seen, _ in cases]
)
def test_every_rule_bears_other_inputs(rule_id: str, seen: dict[str, Any]) -> None:
    each = RULES[rule_id]
    declared = {name: seen.get(name) for name in (*each.needs, *each.wants)}
    choice = each.decide(declared)
    if choice is None:
        return
    asked = 0

    def counted(s: Seen) -> Choice | None:
        nonlocal asked
        asked += 1
        return each.decide(s)

    found = of_rule(replace(each, decide=counted), declared, choice.value)
    assert asked <= 4 * len(declared)
    assert len(found) <= MOST
    for change in found:
        assert change.input in declared
        assert change.value != choice.value


INPUTS: dict[str, Any] = {
    "cpu.effective": 2,
    "cpu.binding": "sched_getaffinity",
    "cpu_per_request_s": 0.0003,
    "wait_per_request_s": 0.0,
    "concurrency": 64,
    "memory_budget_bytes": 1024**3,
}


def test_the_joint_choice_is_made_again() -> None:
    asked: list[tuple[str, float]] = []

    def again(name: str, at: float) -> Configuration | None:
        asked.append((name, at))
        if name == "memory_budget_bytes":
            return None
        if name == "concurrency":
            return replace(WAITING.config, threads=128)
        if name == "cpu.effective" and at == 4:
            return replace(WAITING.config, workers=3)
        return WAITING.config

    found = of_plan(again, INPUTS, WAITING.config)
    assert said(found["workers"]) == [("cpu.effective", 4, 3)]
    assert said(found["threads"]) == [("concurrency", 128, 128)]
    assert found["worker_class"] == []
    # What is nought stays nought, and text is not moved.
    assert {name for name, _ in asked} == set(INPUTS) - {"wait_per_request_s", "cpu.binding"}


def test_no_more_choices_than_allowed() -> None:
    asked: list[str] = []

    def again(name: str, at: float) -> Configuration | None:
        asked.append(f"{name} {at:g}")
        return None

    of_plan(again, INPUTS, WAITING.config, calls=2)
    assert asked == ["cpu.effective 4", "concurrency 128"]
    asked.clear()
    of_plan(again, INPUTS | {"wait_per_request_s": 0.04}, WAITING.config)
    assert len(asked) == len(SHIFTS)


def test_with_the_real_model_more_cores_want_more_workers() -> None:
    demand = Demand(0.0003, 0.0003, 0.0003, 0.0, 0.0, SYNC)

    def planned(limits: Constraints) -> Configuration:
        return choose("wsgi", demand, COST, limits, Pins()).config

    def again(name: str, at: float) -> Configuration | None:
        limits = replace(LIMITS, cores=at) if name == "cpu.effective" else LIMITS
        return planned(limits)

    found = of_plan(again, INPUTS, planned(LIMITS))
    assert [(c.input, c.at) for c in found["workers"]] == [
        ("cpu.effective", 4),
        ("cpu.effective", 1),
    ]
    assert found["workers"][0].value > found["workers"][1].value
