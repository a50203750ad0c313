"""Taking a change back: the files first, then the daemons, from any point that it had come to."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import disk, generations, links, saved, systemd
from .documents import Refusal, Refused
from .faults import reason_of
from .journal import boot_id
from .links import Move

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .documents import Install
    from .journal import Journal, Line, Log
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


def unserved(journal: Journal) -> Begun | None:
    """The last change, where its return failed: its daemons do not run what is installed.

    A boot starts them with that.
    """
    for lines in reversed(journal.operations().values()):
        last = lines[-1]
        if last["step"] in {"committed", "returned", "return_failed"}:
            is_open = last["step"] == "return_failed" and last.get("boot") == boot_id()
            return Begun.from_lines(lines) if is_open else None
    return None


def take_back(
    begun: Begun, layout: Layout, services: Services | None, log: Log, reason: Refusal
) -> None:
    """Return to the generation before, to a line that ends the operation.

    Without services, at boot, the files are enough: nothing has read them yet. Raises `OSError`
    where the end cannot be written down; then it is to be begun again.
    """
    was_activated = "switched" in log.steps
    outcome = _Outcome(layout, log.id)
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
        problem = outcome.known(lambda: _asked(_serve_again, begun, layout, services, reason))
    if problem:
        log("return_failed", reason=_failed(problem, reason).as_json())
    else:
        log("returned", reason=reason.as_json(), kept=kept)
        discard(layout, begun.number, with_saved=not kept)
    outcome.forget()


@dataclass(frozen=True)
class _Outcome:
    """What came of giving the daemons their files again, until the journal has it.

    It is kept below /run, for the journal's disk may be the one that fails: whoever is started
    next would restart the daemons once more, and so for ever.
    """

    layout: Layout
    id: str

    @property
    def _path(self) -> Path:
        return self.layout.run / f"returned-{self.id}"

    def known(self, ask: Callable[[], Refusal | None]) -> Refusal | None:
        """As it is known already, or as it is found now."""
        with suppress(OSError, ValueError):
            found = json.loads(self._path.read_bytes())
            return Refusal(**found) if found else None
        problem = ask()
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            content = json.dumps(problem.as_json() if problem else None)
            disk.replace(self._path, content.encode(), mode=0o600)
        return problem

    def forget(self) -> None:
        """The journal has it."""
        for path in (disk.making(self._path), self._path):
            with suppress(OSError):
                disk.discard(path)


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
    before, after = installs(layout, begun.base), installs(layout, begun.number)
    then = {unit for install in before.values() for unit in install.own_units}
    now = {unit for install in after.values() for unit in install.own_units}
    for unit in sorted(now - then):
        systemd.disable(unit, layout.units)
    for unit in sorted(then - now):
        with suppress(OSError):
            text = (layout.units / unit).read_text(encoding="utf-8")
            systemd.enable(unit, text, layout.units)


def _serve_again(
    begun: Begun, layout: Layout, services: Services, reason: Refusal
) -> Refusal | None:
    """Why what served before does not all serve again: the first reason.

    One app's is no reason to leave another's daemons with the new files.
    """
    before, after = generations.installs(layout, begun.base), installs(layout, begun.number)
    again = {
        app: _asked(services.activate, after.get(app), before.get(app), paths, because=reason)
        for app, paths in begun.changed.items()
        if app in {*before, *after}
    }
    well = [app for app, refusal in again.items() if app in before and not refusal]
    gated = [_asked(_gated, services, before[app]) for app in well]
    return next(filter(None, [*again.values(), *gated]), None)


def _gated(services: Services, app: Install) -> Refusal | None:
    return services.gate(app, None, DWELL_S)[0]


def _asked(ask: Callable[..., Refusal | None], *words: Any, **more: Any) -> Refusal | None:
    """A defect is an answer too: the return must still come to its end."""
    try:
        return ask(*words, **more)
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends in return_failed
        return reason_of(error, "return")


def _failed(problem: Refusal, reason: Refusal, *, mixed: bool = False) -> Refusal:
    state = (
        "The old files could not all be put back: mend the disk, then start advisor-switch.service "
        "or restart the machine; either goes on with the return."
        if mixed
        else "The old files are back, and the daemons do not serve with them: look at the lines, "
        "at systemctl --failed, and at the journal in /var/lib/advisor/journal.jsonl; mend what "
        "they name, and apply again, or reload the services."
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


def installs(layout: Layout, number: int | None) -> Mapping[str, Install]:
    """What is installed in a generation; none where it cannot be read any more."""
    try:
        return generations.installs(layout, number)
    except (Refused, OSError):
        return {}
