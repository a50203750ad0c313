"""One operation, from its lock to its end: the procedure.

Each line of the journal is written before what follows it is begun. Until `switching` nothing that
a daemon reads is changed, and a refusal leaves the host as it was; from there on whatever fails is
taken back, by this process or, where it was killed, by the next.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from . import disk, generations, links, requests, saved
from .change import Change, change_of
from .documents import Refused, refuse
from .faults import reason_of, stop_at
from .journal import Journal, Log
from .takeback import Begun, discard, take_back, unserved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from .documents import Install, Request
    from .layout import Layout
    from .services import Baseline, Services

BASELINE_S = 3.0
POLL_S = 0.1
# For the journal and for what a return puts back, on a disk that has become full.
RESERVE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Switch:
    """What operations work with: a host's paths, its daemons, and a clock that only goes on."""

    layout: Layout
    services: Services
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    @property
    def journal(self) -> Journal:
        """The host's journal."""
        return Journal(self.layout)


@dataclass(frozen=True)
class Prepared:
    """A change that may be made: its generation is staged and checked.

    `well` are the apps that it leaves as they are, and that answered before it.
    """

    change: Change
    baselines: Mapping[str, Baseline | None]
    well: Sequence[Install]

    @property
    def begun(self) -> Begun:
        """What the journal keeps of it."""
        change = self.change
        return Begun(change.base, change.number, change.changed, change.moves)


def perform(request: Request, switch: Switch) -> None:
    """Carry a request out, to a line that ends it.

    The lock is held, and no earlier operation is unfinished. Raises `OSError` where the journal
    cannot be written; the next start then finds the operation unfinished.
    """
    log = Log(switch.journal, request.id)
    number = next_number(switch)
    log("locked", verb=request.verb, app=request.app, by=request.by)
    try:
        prepared = _prepare(request, number, switch, log)
        if prepared:
            log("switching", **prepared.begun.as_json())
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing has been changed yet
        discard(switch.layout, number)
        log("refused", reason=reason_of(error, "prepare").as_json())
        return
    if prepared is None:
        log("unchanged")
        return
    try:
        _switch(prepared, switch, log)
        _activate(prepared, switch, log)
        _gate(prepared, request, switch, log)
        _hold(request, switch, log)
        log("committed", generation=number)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stay
        reason = reason_of(error, "switch")
        take_back(prepared.begun, switch.layout, switch.services, log, reason)
        return
    tidy(switch)


def _prepare(request: Request, number: int, switch: Switch, log: Log) -> Prepared | None:
    """All that comes before the switch; null where there is nothing to do."""
    layout, services = switch.layout, switch.services
    last = unserved(switch.journal)
    change = change_of(request, layout, number, list(committed(switch)), last)
    if change is None:
        return None
    check_live(request, change, services)
    log("live_checked", **{"from": change.base, "generation": number, "changed": change.paths})
    disk.make_folders(layout.generations)
    folder = generations.stage(layout, number, change.after, change.base)
    saved.save(layout, number, links.replaced(layout, change.moves), change.edited)
    _make_reserve(layout)
    log("staged")
    check_staged(change, folder, services)
    log("checked")
    stay = [app for app in change.changed if app in change.new]
    measured = {app: None if app in change.unserved else change.old.get(app) for app in stay}
    return Prepared(
        change,
        {app: services.baseline(install, BASELINE_S) for app, install in measured.items()},
        _well(change, services),
    )


def _well(change: Change, services: Services) -> list[Install]:
    """The other apps that answer: they may share a proxy, a kernel or a Redis with what changes."""
    others = [install for app, install in change.new.items() if app not in change.changed]
    return [each for each in others if each.health and not services.unwell(each, "before")]


def check_live(request: Request, change: Change, services: Services) -> None:
    """Refuse where the host as it is must not be published.

    An app may be rolled back unwell, and what a failed return left is there to be mended.
    """
    for app in change.changed:
        is_to_be_well = request.verb == "apply" and app not in change.unserved
        now = change.old.get(app) if is_to_be_well else None
        others = [install for name, install in change.old.items() if name != app]
        stop_at(services.live_problems(now, others))


def check_staged(change: Change, folder: Path, services: Services) -> None:
    """Refuse what the target's own binaries do not take."""
    for app in change.changed:
        if app in change.new:
            stop_at(services.staged_problems(change.new[app], folder, change.links))


def _switch(prepared: Prepared, switch: Switch, log: Log) -> None:
    edited = links.carry_out(switch.layout, prepared.change.moves)
    if edited:
        raise refuse(
            "switch",
            f"somebody changed {', '.join(edited)} while this was being applied",
            "Look at the edit, and apply again.",
        )
    generations.swap(switch.layout, prepared.change.number)
    log("switched")


def _activate(prepared: Prepared, switch: Switch, log: Log) -> None:
    change = prepared.change
    for app, paths in change.changed.items():
        stop_at(switch.services.activate(change.old.get(app), change.new.get(app), paths))
    log("activated")


def _gate(prepared: Prepared, request: Request, switch: Switch, log: Log) -> None:
    figures: dict[str, Any] = {}
    for app, before in prepared.baselines.items():
        install = prepared.change.new[app]
        refusal, figures[app] = switch.services.gate(install, before, request.dwell_s)
        stop_at(refusal)
    for other in prepared.well:
        refusal = switch.services.unwell(other, "now")
        message = f"{other.app} was well before: {refusal.message}" if refusal else ""
        stop_at(refusal and replace(refusal, step="gate", message=message))
    log("gated", gate=figures.get(request.app) if len(figures) == 1 else figures)


def _hold(request: Request, switch: Switch, log: Log) -> None:
    """Wait for the controller; `Refused` without a word from it until the deadline."""
    until = switch.clock() + request.deadline_s
    log("held", deadline_s=request.deadline_s)
    while (answer := requests.answer(switch.layout, request.id)) != "commit":
        if answer == "return":
            raise refuse("held", f"{request.by} asked for the return")
        if switch.clock() >= until:
            raise refuse(
                "held",
                f"no commit came within {request.deadline_s:g} s",
                "The controller has ended, or lost its way here: apply again.",
            )
        switch.pause(POLL_S)


def committed(switch: Switch) -> dict[int, str]:
    """The generations that one can go back to, and when each was committed (UTC, for people)."""
    there = set(generations.numbers(switch.layout))
    return {number: at for number, at in switch.journal.committed().items() if number in there}


def next_number(switch: Switch) -> int:
    """A number that no generation has had."""
    layout = switch.layout
    had = [*generations.numbers(layout), *saved.numbers(layout), switch.journal.highest()]
    return max(had) + 1


def tidy(switch: Switch) -> None:
    """Drop old generations and journal lines; what fails is done the next time."""
    try:
        generations.prune(switch.layout, committed(switch))
        switch.journal.shorten(frozenset(generations.numbers(switch.layout)))
    except (OSError, Refused) as error:
        print(f"old generations are left over: {error}", file=sys.stderr)  # noqa: T201 - to the journal of the unit


def _make_reserve(layout: Layout) -> None:
    if not layout.reserve.exists():
        disk.replace(layout.reserve, b"\0" * RESERVE_BYTES, mode=0o600)
