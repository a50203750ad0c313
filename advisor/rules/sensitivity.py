"""What change of one input would change a setting. Pure.

One input at a time, the others as they are: it tells which figure to look at twice, not what
several wrong ones would do together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.documents import Estimate, Sensitivity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from advisor.documents import Value
    from advisor.model.service import Configuration
    from advisor.rules.registry import Rule, Seen

MOST = 4
# Whole numbers up to here are also moved by one: workers, cores, seconds. Bytes are not.
COUNTED = 100

# `again(name, at)` makes the joint choice once more with the input `name` at `at`, everything
# else as it was; None where nothing fits then.
Again = Callable[[str, float], "Configuration | None"]

# What the joint choice is asked again with, most telling first: each costs a whole choice.
SHIFTS: tuple[tuple[str, float], ...] = (
    ("cpu.effective", 2),
    ("wait_per_request_s", 2),
    ("concurrency", 2),
    ("memory_budget_bytes", 0.5),
    ("cpu_per_request_s", 2),
    ("cpu.effective", 0.5),
)


@dataclass(frozen=True, slots=True)
class _Change:
    """One input at another value, `at` as documents write it and `seen` as the rule sees it.

    `extent` is the size of the change, as the logarithm of its ratio.
    """

    input: str
    at: bool | int | float
    seen: Any
    extent: float
    upwards: bool


def of_rule(rule: Rule, seen: Seen, value: Value) -> list[Sensitivity]:
    """The smallest changes of the rule's inputs with which it says another value than `value`.

    A number is doubled and halved, a count also moved by one, a switch turned; a measured
    quantity moves with its interval. Text is left alone: versions, names. At most four, the
    smallest first, and of each input one in either direction. A value of None is silence or
    the product's default.
    """
    found: list[Sensitivity] = []
    told: set[tuple[str, bool]] = set()
    changes = [change for name in (*rule.needs, *rule.wants) for change in _changes(name, seen)]
    for change in sorted(changes, key=lambda change: change.extent):
        if len(found) == MOST:
            break
        if (change.input, change.upwards) in told:
            continue
        other = _said(rule, seen | {change.input: change.seen}, otherwise=value)
        if other != value:
            told.add((change.input, change.upwards))
            found.append(Sensitivity(input=change.input, at=change.at, value=other))
    return found


def _said(rule: Rule, seen: Seen, *, otherwise: Value) -> Value:
    """The rule's value; `otherwise` where the input is one that it was not written for."""
    try:
        choice = rule.decide(seen)
    except (ArithmeticError, ValueError):
        return otherwise
    return None if choice is None else choice.value


def _changes(name: str, seen: Seen) -> Iterator[_Change]:
    match seen.get(name):
        case bool(was):
            yield _Change(name, not was, not was, math.log(2), upwards=not was)
        case int(was) | float(was):
            for at in _around(was):
                yield _Change(name, at, at, _extent(was, at), upwards=at > was)
        case Estimate() as was:
            for factor in (2, 0.5):
                moved = Estimate(
                    value=was.value * factor, low=was.low * factor, high=was.high * factor, n=was.n
                )
                if moved.value != was.value:
                    yield _Change(name, moved.value, moved, math.log(2), upwards=factor > 1)
        case _:
            return


def _around(was: float) -> set[int | float]:
    """Other values of a number, above zero.

    >>> sorted(_around(4)), sorted(_around(0.5)), sorted(_around(0)), sorted(_around(4096))
    ([2, 3, 5, 8], [0.25, 1.0], [1], [2048, 8192])
    """
    if isinstance(was, float):
        near: set[int | float] = {was * 2, was / 2}
    else:
        near = {was * 2, was // 2} | ({was - 1, was + 1} if was <= COUNTED else set())
    return {at for at in near if at > 0 and at != was}


def _extent(was: float, at: float) -> float:
    return abs(math.log(at / was)) if was > 0 else math.log(2)


def of_plan(
    again: Again,
    inputs: Mapping[str, Value],
    chosen: Configuration,
    *,
    calls: int = len(SHIFTS),
) -> dict[str, list[Sensitivity]]:
    """What would change `worker_class`, `workers` and `threads` of the joint choice `chosen`.

    `inputs` are those of the plan's basis, by the names that `again` takes: `cpu.effective`,
    `cpu_per_request_s`, `wait_per_request_s`, `concurrency`, `memory_budget_bytes`. At most
    `calls` choices are made, one for each of `SHIFTS` whose input is known and above zero.
    """
    own = _parts(chosen)
    found: dict[str, list[Sensitivity]] = {part: [] for part in own}
    for name, at in list(_shifted(inputs))[:calls]:
        other = again(name, at)
        if other is None:
            continue
        for part, value in _parts(other).items():
            if value != own[part] and len(found[part]) < MOST:
                found[part].append(Sensitivity(input=name, at=at, value=value))
    return found


def _shifted(inputs: Mapping[str, Value]) -> Iterator[tuple[str, int | float]]:
    for name, factor in SHIFTS:
        was = inputs.get(name)
        if isinstance(was, bool) or not isinstance(was, int | float):
            continue
        at = int(was * factor) if isinstance(was, int) else was * factor
        if at > 0 and at != was:
            yield name, at


def _parts(config: Configuration) -> dict[str, str | int]:
    return {
        "worker_class": config.worker_class.name,
        "workers": config.workers,
        "threads": config.threads,
    }
