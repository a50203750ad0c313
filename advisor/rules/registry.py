"""Rules: small pure functions, each with the setting it gives, what it needs, and its source.

A rule sees exactly what it declared. `needs` are evidence or other settings without which it
cannot speak; `wants` are the same, None where unknown. Names are setting ids
(`gunicorn.timeout`), facts (`cpu.effective`), measured quantities (`latency_s.p99`), keys of
the intent (`app.interface`) and the model's answer (`plan`).
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from advisor.documents import Alternative, Setting, Unknown
from advisor.errors import InvalidInput
from advisor.rules.sensitivity import of_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from advisor.documents import Sensitivity, Value

Confidence = Literal["high", "medium", "low"]
Seen = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rule says: a value (None is "leave the product's default") and its reason.

    `sensitivity` is given by rules whose inputs were weighed elsewhere; that of all others is
    found by asking them again.
    """

    value: Value
    why: str
    binding: str | None = None
    confidence: Confidence = "high"
    inputs: Mapping[str, Value] | None = None
    alternatives: tuple[Alternative, ...] = ()
    paste: str | None = None
    sensitivity: Sequence[Sensitivity] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A registered rule. `accepts` is the type of its value, `default` the product's own.

    `optional` rules say nothing where a need is missing, instead of that it is unknown: what
    they are about (another server, a database) is not there.
    """

    id: str
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    unit: str | None
    accepts: Any
    default: Value
    source: str
    applied_by: Literal["file", "environment", "code"]
    optional: bool
    decide: Callable[[Seen], Choice | None]


@dataclass(frozen=True, slots=True)
class Decision:
    """Every setting that has a value, by component and as registered, and what was skipped."""

    settings: list[Setting]
    unknown: list[Unknown]


RULES: dict[str, Rule] = {}


def rule(
    id_: str,
    *,
    needs: tuple[str, ...] = (),
    wants: tuple[str, ...] = (),
    unit: str | None = None,
    accepts: Any,
    default: Value = None,
    source: str,
    applied_by: Literal["file", "environment", "code"] = "file",
    optional: bool = False,
) -> Callable[[Callable[[Seen], Choice | None]], Callable[[Seen], Choice | None]]:
    """Register a function from evidence to a `Choice`, or to None where it stays silent."""

    def register(decide: Callable[[Seen], Choice | None]) -> Callable[[Seen], Choice | None]:
        if id_ in RULES:
            raise ValueError(f"two rules for {id_}")
        RULES[id_] = Rule(
            id_, needs, wants, unit, accepts, default, source, applied_by, optional, decide
        )
        return decide

    return register


def decide(evidence: Mapping[str, Any], pins: Mapping[str, Value]) -> Decision:
    """Apply every rule in the order of its needs; pins stand in for what a rule would say.

    A rule whose need is unknown is skipped and said to be unknown; one that builds on a setting
    that does not apply here stays silent with it. Raises `InvalidInput` for a pin of an unknown
    setting or of the wrong type, naming all of them.
    """
    check_pins(pins)
    known = {name: value for name, value in evidence.items() if value is not None}
    found: dict[str, Setting] = {}
    silent: set[str] = set()
    unknown: list[Unknown] = []
    for id_ in _order():
        each = RULES[id_]
        missing = [need for need in each.needs if need not in known]
        choice = None
        if not missing:
            seen = {name: known.get(name) for name in (*each.needs, *each.wants)}
            choice = each.decide(seen)
        if id_ in pins:
            setting = _pinned(each, pins[id_], choice)
        elif choice is not None:
            setting = _setting(each, choice, seen)
        else:
            if each.optional or silent.issuperset(missing):
                silent.add(id_)
            else:
                unknown.append(_skipped(id_, [need for need in missing if need not in silent]))
            continue
        found[id_] = setting
        effective = each.default if setting.value is None else setting.value
        if effective is None:
            silent.add(id_)
        else:
            known[id_] = effective
    settings = [found[id_] for id_ in RULES if id_ in found]
    return Decision(sorted(settings, key=lambda setting: setting.id.partition(".")[0]), unknown)


def check_pins(pins: Mapping[str, Value]) -> None:
    """`InvalidInput` naming every pin that no rule knows or whose value has the wrong type."""
    lines = [f"advisor.yml: pins: {id_}: {reason}" for id_, reason in wrong_pins(pins).items()]
    if lines:
        raise InvalidInput(
            "\n".join(lines), remedy="A recommendation (advisor recommend) lists every setting."
        )


def wrong_pins(pins: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with each pin that no rule knows or whose value has the wrong type."""
    wrong: dict[str, str] = {}
    for id_, value in pins.items():
        if id_ not in RULES:
            near = get_close_matches(id_, RULES, n=1)
            wrong[id_] = f"unknown setting; {near[0]} is one" if near else "unknown setting"
        elif reason := refusal(id_, value):
            wrong[id_] = reason
    return wrong


def refusal(id_: str, value: Value) -> str | None:
    """Why a rule's setting cannot have this value, in words, or None where it can."""
    try:
        TypeAdapter(RULES[id_].accepts).validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        return f"{reason[0].lower()}{reason[1:]}, not {value!r}"
    return None


def _order() -> Iterable[str]:
    graph = {
        id_: [name for name in (*each.needs, *each.wants) if name in RULES]
        for id_, each in RULES.items()
    }
    return TopologicalSorter(graph).static_order()


def _setting(each: Rule, choice: Choice, seen: Seen) -> Setting:
    inputs = choice.inputs if choice.inputs is not None else _scalars(seen)
    return Setting(
        id=each.id,
        value=choice.value,
        unit=each.unit,
        why=choice.why,
        binding=choice.binding,
        confidence=choice.confidence,
        applied_by=each.applied_by,
        pinned=False,
        inputs=dict(inputs),
        alternatives=list(choice.alternatives),
        source=each.source,
        sensitivity=list(
            of_rule(each, seen, choice.value) if choice.sensitivity is None else choice.sensitivity
        ),
        paste=choice.paste,
    )


def _pinned(each: Rule, value: Value, choice: Choice | None) -> Setting:
    why = "Pinned in advisor.yml."
    inputs: Mapping[str, Value] = {}
    alternatives: list[Alternative] = []
    if choice is not None:
        inputs = choice.inputs or {}
        alternatives = list(choice.alternatives)
        if choice.value != value:
            advised = "the default" if choice.value is None else choice.value
            why = f"Pinned in advisor.yml; advised is {advised}: {choice.why}"
            alternatives = [Alternative(value=choice.value, why=choice.why)]
    return Setting(
        id=each.id,
        value=value,
        unit=each.unit,
        why=why,
        binding="pins",
        confidence="high",
        applied_by=each.applied_by,
        pinned=True,
        inputs=dict(inputs),
        alternatives=alternatives,
        source="advisor.yml",
        paste=choice.paste if choice is not None and choice.value == value else None,
    )


def _skipped(id_: str, missing: list[str]) -> Unknown:
    needs = " and ".join(missing)
    return Unknown(
        what=id_,
        why=f"it needs {needs}, which is not known",
        remedy="Run advisor inspect on the target and give its facts (--facts), or pin a value.",
    )


def _scalars(seen: Seen) -> dict[str, Value]:
    return {
        name: value
        for name, value in seen.items()
        if value is not None and isinstance(value, bool | int | float | str)
    }
