"""The service and the boot unit: what is unfinished first, then the requests that wait."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from . import generations, requests, sites, systemd
from .documents import Refusal, Refused, Request
from .journal import Journal, boot_id, now
from .operation import POLL_S, Switch, perform, tidy
from .recover import recover, unfinished

if TYPE_CHECKING:
    from .layout import Layout
    from .lock import Lock
    from .requests import Waiting
    from .systemd import Manager

# The lock is held for moments only while a request is taken in.
PATIENCE_S = 30.0


def work(switch: Switch, lock: Lock) -> list[str]:
    """End what is unfinished, then carry out what waits; the ids of those.

    The lock stays held until this process ends: so whoever gets it next can count on the service's
    being started anew. Raises `Refused` where another holds it, `OSError` where the disk fails.
    """
    layout = switch.layout
    done: list[str] = []
    requests.make_folders(layout)
    first = next(iter(requests.waiting(layout)), None)
    who = first.who if first else {"by": "advisor-switch", "since": now()}
    lock.take(who, wait_s=PATIENCE_S)
    if recover(layout, switch.services):
        tidy(switch)
    while True:
        waiting = requests.waiting(layout)
        if not waiting:
            return done
        lock.name(waiting[0].who)
        _carry_out(waiting[0], switch)
        requests.finish(layout, waiting[0].id)
        done.append(waiting[0].id)


def boot(layout: Layout, manager: Manager, lock: Lock) -> bool:
    """Return what was not committed, before anything reads it; whether files changed.

    Requests of the boot before are refused: nobody waits for them any more. Raises `OSError` where
    a return did not come to its end: the service, which comes later, then goes on with it.
    """
    requests.make_folders(layout)
    lock.take({"by": "advisor-boot", "since": now()}, wait_s=PATIENCE_S)
    changed = True
    try:
        changed = recover(layout, None)
        for one in requests.waiting(layout):
            _refuse(one, layout, _RESTARTED)
            requests.finish(layout, one.id)
    finally:
        # What was put back is what daemons read, whether or not that could be written down.
        if layout.current.exists():
            changed = bool(sites.restore(layout)) or changed
        if changed:
            _load(layout, manager)
    left = unfinished(Journal(layout))
    if left:
        raise OSError(f"{', '.join(left)}: the return did not come to its end")
    return changed


def _load(layout: Layout, manager: Manager) -> None:
    """Have systemd read its files again, and start what it would have started by these."""
    manager.act("daemon-reload")
    with suppress(Refused):
        found = generations.installs(layout, generations.current(layout)).values()
        units = [unit for install in found for unit in install.own_units]
        # The boot's jobs were made of the files before: a unit that has come back has none.
        begin = [unit for unit in units if systemd.enabled(unit, layout.units)]
        if begin:
            manager.act("start", "--no-block", *begin)


_RESTARTED = Refusal(
    "requested", "the machine was restarted before this was begun", look="Apply again."
)
_BLOCKED = Refusal(
    "requested",
    "the operation before could not be taken back whole",
    look="advisor-switch.service goes on with it when it is started: mend what its status names.",
)


def _carry_out(one: Waiting, switch: Switch) -> None:
    if one.boot != boot_id():
        _refuse(one, switch.layout, _RESTARTED)
        return
    if unfinished(switch.journal):
        _refuse(one, switch.layout, _BLOCKED)
        return
    try:
        request = Request.from_data(one.request)
    except Refused as error:
        _refuse(one, switch.layout, error.refusal)
        return
    perform(request, switch)


def _refuse(one: Waiting, layout: Layout, refusal: Refusal) -> None:
    shown = {key: one.request.get(key) for key in ("verb", "app", "by")}
    Journal(layout).append(one.id, "refused", **shown, reason=refusal.as_json())


def wait_until(layout: Layout, id_: str, states: frozenset[str], seconds: float) -> None:
    """Wait until an operation comes to one of these states, or the time is over."""
    until = time.monotonic() + seconds
    journal = Journal(layout)
    seen = -1
    while time.monotonic() < until:
        size = journal.size()
        lines = journal.lines(id_) if size != seen else []
        if lines and lines[-1]["step"] in states:
            return
        seen = size
        time.sleep(POLL_S)
