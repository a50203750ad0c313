"""How rules are applied: order, what is missing, what is silent, and pins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from advisor.rules import registry
from advisor.rules.registry import Choice, Seen, decide, rule

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _own_rules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "RULES", {})

    # Registered before what it builds on: the order of needs decides, not that of the file.
    @rule("b.idle", needs=("a.idle",), wants=("hint",), unit="s", accepts=int | None, source="x")
    def after(s: Seen) -> Choice:
        return Choice(s["a.idle"] + 15 + (s["hint"] or 0), "Longer.")

    @rule("a.idle", needs=("proxy",), unit="s", accepts=int | None, default=60, source="x")
    def idle(s: Seen) -> Choice | None:
        return Choice(75, "So.") if s["proxy"] == "nginx" else None

    return


def values(evidence: dict[str, Any], pins: dict[str, Any] | None = None) -> dict[str, Any]:
    return {setting.id: setting.value for setting in decide(evidence, pins or {}).settings}


def test_a_rule_sees_the_settings_it_needs() -> None:
    assert values({"proxy": "nginx"}) == {"b.idle": 90, "a.idle": 75}
    assert values({"proxy": "nginx", "hint": 5})["b.idle"] == 95


def test_inputs_are_what_the_rule_declared() -> None:
    first = decide({"proxy": "nginx", "other": 1}, {}).settings[1]
    assert first.inputs == {"a.idle": 75}
    assert (first.unit, first.source, first.pinned, first.applied_by) == ("s", "x", False, "file")


def test_silence_spreads_without_a_word() -> None:
    decision = decide({"proxy": "none"}, {})
    assert decision.settings == []
    assert decision.unknown == []


def test_a_missing_need_is_unknown_for_the_rule_and_for_what_builds_on_it() -> None:
    decision = decide({}, {})
    assert decision.settings == []
    assert [(entry.what, "proxy" in entry.why) for entry in decision.unknown] == [
        ("a.idle", True),
        ("b.idle", False),
    ]
    assert "a.idle" in decision.unknown[1].why


def test_a_pin_stands_for_the_rule_and_the_others_build_on_it() -> None:
    decision = decide({"proxy": "nginx"}, {"a.idle": 100})
    pinned = next(setting for setting in decision.settings if setting.id == "a.idle")
    assert (pinned.value, pinned.pinned, pinned.binding) == (100, True, "pins")
    assert "advised is 75: So." in pinned.why
    assert [other.value for other in pinned.alternatives] == [75]
    assert next(s.value for s in decision.settings if s.id == "b.idle") == 115


def test_a_pin_holds_where_the_rule_is_silent_or_lacks_its_need() -> None:
    assert values({"proxy": "none"}, {"a.idle": 9}) == {"a.idle": 9, "b.idle": 24}
    assert values({}, {"a.idle": 9}) == {"a.idle": 9, "b.idle": 24}


def test_a_null_pin_is_the_products_default_to_the_others() -> None:
    assert values({"proxy": "nginx"}, {"a.idle": None}) == {"a.idle": None, "b.idle": 75}


@pytest.mark.parametrize("wrong", ["60", 1.5, True, [1]])
def test_a_pin_of_the_wrong_type_is_refused_with_its_name(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match=r"pins: a\.idle: .*integer"):
        decide({"proxy": "nginx"}, {"a.idle": wrong})


def test_every_wrong_pin_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        decide({}, {"a.idle": "x", "no.such": 1, "b.idel": 1})
    assert "pins: a.idle" in caught.value.message
    assert "pins: no.such: unknown setting" in caught.value.message
    assert "pins: b.idel: unknown setting; b.idle is one" in caught.value.message


def test_two_rules_for_one_setting_are_a_defect() -> None:
    with pytest.raises(ValueError, match=r"two rules for a\.idle"):
        rule("a.idle", accepts=int, source="x")(lambda _: None)
