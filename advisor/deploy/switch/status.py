"""What the switch says of a host; nothing is written, no lock is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import disk, drift, generations, lock, requests
from .change import change_of
from .documents import MANIFEST_PATH, Refused, refuse
from .faults import reason_of
from .journal import OPERATION_SCHEMA, Journal, view
from .operation import check_live, check_staged, committed, next_number
from .recover import unfinished
from .takeback import unserved
from .trees import digest, install_of, shown

if TYPE_CHECKING:
    from .change import Change
    from .documents import Request
    from .layout import Layout
    from .operation import Switch

STATUS_SCHEMA = "advisor/status/1"


def status(layout: Layout) -> dict[str, Any]:
    """The generations, what is current, how it drifted, the last operation, who is at work.

    `unserved` are apps that a failed return left with daemons that run other files.
    """
    journal = Journal(layout)
    problem = None
    try:
        number, apps = _standing(layout)
    except Refused as error:
        number, apps, problem = None, {}, error.refusal.as_json()
    known = journal.committed()
    listed = [_generation(layout, each, known) for each in generations.numbers(layout)]
    there = generations.numbers(layout)
    operations = journal.operations()
    last = next(reversed(operations), None)
    left = unserved(journal)
    return {
        "schema": STATUS_SCHEMA,
        "current": number,
        "committed": max((each for each in known if each in there), default=None),
        "generations": [each for each in listed if each["n"] in there],
        "operation": view(operations[last]) if last else None,
        "waiting": [one.who for one in requests.waiting(layout)],
        "holder": lock.holder(layout),
        "apps": apps,
        "unserved": sorted(left.changed) if left else [],
        "problem": problem,
    }


def operation(layout: Layout, id_: str) -> dict[str, Any] | None:
    """An operation as it stands; null where the id is not known."""
    lines = Journal(layout).lines(id_)
    if lines:
        return view(lines)
    return next(
        (
            {"schema": OPERATION_SCHEMA, **one.who, "state": "requested", "changed": []}
            for one in requests.waiting(layout)
            if one.id == id_
        ),
        None,
    )


def check(request: Request, switch: Switch) -> dict[str, Any]:
    """What an apply or rollback would change, or why it would be refused.

    The state is `refused`, `unchanged`, or `checked`. The staged tree stands below /run for the
    daemons' checks, and is gone afterwards.
    """
    shown_: dict[str, Any] = {
        "schema": OPERATION_SCHEMA,
        "id": request.id,
        "verb": request.verb,
        "app": request.app,
        "by": request.by,
        "from": None,
        "generation": None,
        "changed": [],
        "diff": [],
        "reason": None,
        "gate": None,
    }
    try:
        _check_free(switch.layout)
        number = next_number(switch)
        last = unserved(switch.journal)
        change = change_of(request, switch.layout, number, list(committed(switch)), last)
        if change is None:
            return {**shown_, "state": "unchanged"}
        shown_ |= {"from": change.base, "changed": change.paths, "diff": _diff(change)}
        check_live(request, change, switch.services)
        _check_staged(request.id, change, switch)
    except (Refused, OSError) as error:
        return {**shown_, "state": "refused", "reason": reason_of(error, "check").as_json()}
    return {**shown_, "state": "checked"}


def _generation(layout: Layout, number: int, known: dict[int, str]) -> dict[str, Any]:
    try:
        installed = generations.installs(layout, number)
    except (Refused, FileNotFoundError):
        installed = {}
    return {
        "n": number,
        "apps": {app: install.inputs for app, install in installed.items()},
        "committed": number in known,
        "at": known.get(number),
    }


def _standing(layout: Layout) -> tuple[int | None, dict[str, Any]]:
    """What is current, and its apps; read again where it was swapped, and removed, meanwhile."""
    while True:
        number = generations.current(layout)
        try:
            apps = _apps(layout, number)
        except (Refused, FileNotFoundError):
            if generations.current(layout) == number:
                raise
        else:
            if generations.current(layout) == number:
                return number, apps


def _apps(layout: Layout, number: int | None) -> dict[str, Any]:
    if number is None:
        return {}
    found = {}
    for app, tree in generations.trees(layout, number).items():
        drifted = drift.of_app(layout, number, install_of(tree, app), tree)
        found[app] = {
            "manifest": digest(tree[MANIFEST_PATH]) if MANIFEST_PATH in tree else None,
            "drift": [{"path": one.shown, "what": one.what} for one in drifted],
        }
    return found


def _check_free(layout: Layout) -> None:
    who = lock.holder(layout)
    if who is not None:
        raise Refused(lock.busy(who))
    if unfinished(Journal(layout)):
        raise refuse(
            "lock",
            "the last operation has no end yet",
            "systemctl start advisor-switch.service goes on with it.",
        )


def _diff(change: Change) -> list[dict[str, str | None]]:
    """The changed files' text before and after, of several apps with the app's name."""
    several = len(change.changed) > 1
    return [
        {**one, "path": f"{app}/{one['path']}"} if several else one
        for app in change.changed
        for one in shown(change.before.get(app, {}), change.after.get(app, {}))
    ]


def _check_staged(id_: str, change: Change, switch: Switch) -> None:
    folder = switch.layout.run.with_name(f"advisor-check-{id_}")
    folder.mkdir(mode=0o755, parents=True)
    try:
        staged = folder / "generation"
        generations.write(switch.layout, staged, change.after, change.base)
        check_staged(change, staged, switch.services)
    finally:
        disk.remove_tree(folder)
