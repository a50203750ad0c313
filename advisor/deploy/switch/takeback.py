"""Taking a change back: the files first, then the daemons, from any point that it had come to."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import disk, generations, links, saved, systemd
from .documents import Refusal, Refused
from .faults import reason_of
from .links import Move

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .documents import Install
    from .journal import Line, Log
    from .layout import Layout
    from .services import Services

# What was served before is served again at once; this long it is watched for.
DWELL_S = 2.0
TRIES = 3


@dataclass(frozen=True)
class Begun:
    """A change as the journal has it from `switching` on: all that taking it back needs."""

    base: int | None
    number: int
    changed: Mapping[str, frozenset[str]]
    moves: Sequence[Move]

    def as_json(self) -> dict[str, Any]:
        """The data of the journal's line."""
        return {
            "from": self.base,
            "generation": self.number,
            "apps": {app: sorted(paths) for app, paths in self.changed.items()},
            "moves": [move.as_json() for move in self.moves],
        }

    @classmethod
    def from_lines(cls, lines: Sequence[Line]) -> Begun | None:
        """The change of an operation; null where nothing was to be changed yet."""
        line = next((line for line in lines if line["step"] == "switching"), None)
        if line is None:
            return None
        apps = {app: frozenset(paths) for app, paths in line["apps"].items()}
        moves = [Move.from_json(each) for each in line["moves"]]
        return cls(line["from"], line["generation"], apps, moves)


def take_back(
    begun: Begun, layout: Layout, services: Services | None, log: Log, reason: Refusal
) -> None:
    """Return to the generation before, to a line that ends the operation.

    Without services, at boot, the files are enough: nothing has read them yet. Raises `OSError`
    where the end cannot be written down; then it is to be begun again.
    """
    was_activated = "switched" in log.steps
    _give_up_reserve(layout)
    _say(log, "returning", reason=reason.as_json())
    try:
        kept = _put_back(begun, layout)
    except OSError as error:
        failure = _failed(reason_of(error, "return"), reason, mixed=True)
        log("return_failed", reason=failure.as_json(), is_mixed=True)
        return
    problem = None
    if services is None:
        _resume_units(begun, layout)
    elif was_activated:
        problem = _serve_again(begun, layout, services)
    if problem:
        log("return_failed", reason=_failed(problem, reason).as_json())
        return
    log("returned", reason=reason.as_json(), kept=kept)
    discard(layout, begun.number, with_saved=not kept)


def discard(layout: Layout, number: int, *, with_saved: bool = True) -> None:
    """Remove what was written for a generation that is not current; what fails is left over."""
    try:
        generations.discard(layout, number)
        if with_saved:
            saved.discard(layout, number)
    except OSError as error:
        print(f"generation {number} is left over: {error}", file=sys.stderr)  # noqa: T201


def _put_back(begun: Begun, layout: Layout) -> list[str]:
    """Put the files back; those that somebody changed meanwhile, which stay as they are.

    A disk that fails once need not fail again. Raises `OSError` where it does.
    """
    for _ in range(TRIES - 1):
        with suppress(OSError):
            return _put_back_once(begun, layout)
    return _put_back_once(begun, layout)


def _put_back_once(begun: Begun, layout: Layout) -> list[str]:
    generations.swap(layout, begun.base)
    return links.carry_out(layout, begun.moves, back=True)


def _resume_units(begun: Begun, layout: Layout) -> None:
    """At boot: what systemd is to start is again what it was, as the activation would have it."""
    before, after = _installs(layout, begun.base), _installs(layout, begun.number)
    then = {unit for install in before.values() for unit in install.own_units}
    now = {unit for install in after.values() for unit in install.own_units}
    for unit in sorted(now - then):
        systemd.disable(unit, layout.units)
    for unit in sorted(then - now):
        with suppress(OSError):
            text = (layout.units / unit).read_text(encoding="utf-8")
            systemd.enable(unit, text, layout.units)


def _serve_again(begun: Begun, layout: Layout, services: Services) -> Refusal | None:
    """Why what served before does not serve again. Nothing may end this without an answer."""
    try:
        before, after = generations.installs(layout, begun.base), _installs(layout, begun.number)
        for app, paths in begun.changed.items():
            refusal = services.activate(after.get(app), before.get(app), paths)
            if refusal:
                return refusal
        for app in begun.changed:
            if app in before:
                refusal, _ = services.gate(before[app], None, DWELL_S)
                if refusal:
                    return refusal
    except Exception as error:  # noqa: BLE001 - a defect here must still end in return_failed
        return reason_of(error, "return")
    return None


def _failed(problem: Refusal, reason: Refusal, *, mixed: bool = False) -> Refusal:
    state = (
        "The old files could not all be put back: mend the disk, then start advisor-switch.service "
        "or restart the machine; either goes on with the return."
        if mixed
        else "The old files are back, and the daemons do not serve with them: look at the lines, "
        "at systemctl --failed, and at the journal in /var/lib/advisor/journal.jsonl; mend what "
        "they name, and reload the services."
    )
    message = f"the return failed: {problem.message}; it was begun because: {reason.message}"
    return Refusal("return", message, problem.url, problem.status, problem.lines, state)


def _say(log: Log, step: str, **data: Any) -> None:
    """Write a step down that is taken in any case."""
    try:
        log(step, **data)
    except OSError as error:
        print(f"{step}: not in the journal: {error}", file=sys.stderr)  # noqa: T201


def _give_up_reserve(layout: Layout) -> None:
    """A full disk must not hinder the return."""
    try:
        disk.discard(layout.reserve)
    except OSError as error:
        print(f"{layout.reserve}: {error}", file=sys.stderr)  # noqa: T201


def _installs(layout: Layout, number: int | None) -> Mapping[str, Install]:
    """What is installed in a generation; none where it cannot be read any more."""
    try:
        return generations.installs(layout, number)
    except (Refused, OSError):
        return {}
