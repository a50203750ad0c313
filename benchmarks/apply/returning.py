"""From a gate that fails to the old configuration serving, by the journal and from outside."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.apply.fleet import last_operation
from benchmarks.apply.load import Load
from benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.apply.fleet import Fleet
    from benchmarks.apply.load import Answer

# Each by its marker.
HARMS: dict[str, dict[str, Any]] = {
    "dead": {"dies_after_s": 1},
    "errors": {"health_status": 500},
    "hangs": {"health_hangs": 1},
    "slower": {"health_slow_s": 0.3},
}
RATE, CLIENTS = 40, 8
OLD = "old"


def returning(fleet: Fleet, *, times: int, dwell: str) -> list[Figure]:
    """Each harm so many times, on the first host."""
    one = fleet.first(1)
    (host,) = one.hosts
    good = one.tree("good", knobs={"marker": OLD}, domain="shop.example")
    to = ("-i", one.inventory(), "--dwell", dwell)
    one.advisor("apply", good, *to)
    figures = []
    for harm, knobs in HARMS.items():
        bad = one.tree(f"bad-{harm}", knobs={"marker": harm, **knobs}, domain="shop.example")
        taken = []
        for _ in range(times):
            with Load(host.address, rate=RATE, clients=CLIENTS) as load:
                one.advisor("apply", bad, *to, code=5)
            steps = last_operation(host)
            failed, returned = (steps[step]["clock_s"] for step in ("returning", "returned"))
            if steps["returning"]["reason"]["step"] != "gate":
                raise AssertionError(f"{harm}: no gate took it back: {steps['returning']}")
            taken.append((_serves_again(load.answers, failed) - failed, returned - failed))
        serving, journal = zip(*taken, strict=True)
        figures += [
            Figure(f"{harm}: old one serves, median", statistics.median(serving), "s"),
            Figure(f"{harm}: old one serves, worst of {times}", max(serving), "s", most=5),
            Figure(f"{harm}: seen to be well, median", statistics.median(journal), "s"),
            Figure(f"{harm}: seen to be well, worst of {times}", max(journal), "s", most=5),
        ]
    return figures


def _serves_again(answers: Sequence[Answer], failed: float) -> float:
    """When the old one first answered, after the last that was not its answer."""
    ordered = sorted(answers, key=lambda each: each.ended)
    others = [each.ended for each in ordered if each.marker != OLD and each.ended > failed]
    since = max(others, default=failed)
    return next(each.ended for each in ordered if each.ended > since and each.marker == OLD)
