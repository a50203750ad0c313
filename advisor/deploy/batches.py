"""What the hosts of a batch say, put together: who may go on, and how it went. Pure.

Ansible's action plugin uses this where nothing of ours is installed: standard library alone. A
host's words are a mapping with a `state`, by the step of the play that they are registered as.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from advisor.errors import AdvisorError

SEEN, SWITCHED, SETTLED, TAKEN_BACK = (
    "advisor_seen",
    "advisor_switched",
    "advisor_settled",
    "advisor_taken_back",
)
STEPS = (SEEN, SWITCHED, SETTLED, TAKEN_BACK)
# Where an operation on a target stays: for good, or until the controller speaks.
TERMINAL = frozenset({"committed", "refused", "returned", "return_failed", "unchanged"})
RESTING = TERMINAL | {"held"}
# What lets the others of a batch go on, after each step.
_DONE = frozenset({"unchanged", "nothing", "committed"})
FINE = {
    SEEN: _DONE | {"seen"},
    SWITCHED: _DONE | {"held"},
    SETTLED: _DONE,
    TAKEN_BACK: _DONE,
}
GOOD = _DONE
# What a preliminary check says of a host that may be switched.
CHECKED = frozenset({"checked", "unchanged"})
# The longest for which a host holds (the switch's documents).
LONGEST_HELD_S = 3600.0
# What is said of a host that was lost at a step.
_LOST = {
    SWITCHED: "What it has begun it takes back by itself, within its deadline.",
    SETTLED: "Whether it was committed is not known: see advisor rollback --list once it answers.",
}
CHANGED = frozenset({"held", "committed", "returned", "return_failed", "changes"})
# What to do where a package cannot be brought.
UNPREPARED = "Install it there by hand, or give the host a repository that has it; apply again."

Told = dict[str, Any]


def refused(step: str, message: str, look: str = "") -> Told:
    """Words for a host on which nothing was done."""
    return {"state": "refused", "reason": _reason(step, message, look)}


def unreachable(message: str) -> Told:
    """Words for a host that could not be asked."""
    return {"state": "unreachable", "reason": _reason("connection", message.strip())}


def _reason(step: str, message: str, look: str = "") -> dict[str, Any]:
    return {
        "step": step,
        "message": message,
        "url": None,
        "status": None,
        "lines": [],
        "look": look,
    }


def of_error(step: str, error: AdvisorError) -> Told:
    """Words for a host's error: the reason of its own program, where that gave one."""
    words = refused(step, error.message, error.remedy or "")
    reason = getattr(error, "reason", None)
    return words | {"reason": reason} if reason else words


def of_operation(operation: Mapping[str, Any]) -> Told:
    """Words for what the switch says of an operation."""
    return {
        "state": operation["state"],
        "id": operation.get("id"),
        "from": operation.get("from"),
        "generation": operation.get("generation"),
        "changed": list(operation.get("changed") or ()),
        "diff": list(operation.get("diff") or ()),
        "reason": operation.get("reason"),
        "gate": operation.get("gate") or {},
    }


def unprepared(found: Mapping[str, Any], user: str | None, missing: Collection[str]) -> Told:
    """What a check found where an apply would first bring what is missing.

    That is the app's `user` (null: it is there), without whom the files have nobody to belong to;
    and the programs of the roles that are `missing`. It is no refusal, but it was not checked.
    """
    message = str((found.get("reason") or {}).get("message"))
    if user is not None and f" {user} " in message:
        note = (
            f"the user {user} is not there yet: an apply makes it, and then has the files checked"
        )
    elif missing and "is not installed" in message:
        program = message.partition(" is not installed")[0]
        note = f"{program} is not there yet: an apply installs it, and then has the files checked"
    else:
        return dict(found)
    return {**found, "state": "checked", "reason": None, "notes": [note]}


def told(variables: Mapping[str, Any], step: str) -> Told:
    """A host's words after a step: of the last that it took, up to that one.

    What Ansible registers has them under `advisor`, or says that the host is out of reach, or
    that the task failed. `advisor_failed` is what a failure between two steps left.
    """
    for name in reversed(STEPS[: STEPS.index(step) + 1]):
        result = variables.get(name) or {}
        if not is_taken(result):
            continue
        if name == SEEN and variables.get("advisor_failed"):
            return refused("prepare", str(variables["advisor_failed"]), UNPREPARED)
        words = _of_result(result)
        if words["state"] == "unreachable" and name in _LOST and result.get("unreachable"):
            words["reason"]["look"] = _LOST[name]
        return words
    return refused("look", "was not looked at")


def is_taken(result: Mapping[str, Any]) -> bool:
    """Whether a registered result is one of a task that ran."""
    return bool(result) and not result.get("skipped")


def _of_result(result: Mapping[str, Any]) -> Told:
    if result.get("unreachable"):
        return unreachable(str(result.get("msg", "")))
    if "advisor" not in result:
        return refused("ansible", str(result.get("msg", "failed")).strip())
    return dict(result["advisor"])


def behind(host: str, step: str, batch: Mapping[str, Told]) -> str | None:
    """What keeps a host's batch from going on after a step, in words: the first of the others.

    >>> batch = {"web1": {"state": "held"}, "web2": {"state": "returned", "reason": None}}
    >>> behind("web1", SWITCHED, batch), behind("web2", SWITCHED, batch)
    ('web2 of the same batch: returned', None)
    """
    for other, words in batch.items():
        if other != host and words["state"] not in FINE[step]:
            return f"{other} of the same batch: {said(words)}"
    return None


def said(words: Mapping[str, Any]) -> str:
    """A host's words in one line: its state, and why.

    >>> said(refused("lock", "web1 is being changed by ann"))
    'refused: web1 is being changed by ann'
    """
    reason = words.get("reason") or {}
    message = reason.get("message")
    return f"{words['state']}: {message}" if message else str(words["state"])


def taken_back(mine: Mapping[str, Any], undone: Mapping[str, Any], because: str) -> Told:
    """Words for a host whose commit was undone, for a batch is one; or that could not be."""
    if undone["state"] == "committed":
        return {**mine, "state": "returned", "reason": _reason("batch", because)}
    message = f"{because}; here taking it back was {said(undone)}"
    look = "Nothing else is pending there: advisor rollback takes this host back."
    return {**mine, "state": "return_failed", "reason": _reason("batch", message, look)}


def no_way_back(mine: Mapping[str, Any], because: str) -> Told:
    """Words for a host that was committed, and had no generation of ours before."""
    message = f"{because}; this host keeps the new one, for it had none of ours before"
    look = "Mend the other host and apply again: this one is left as it is then."
    return {**mine, "state": "return_failed", "reason": _reason("batch", message, look)}


def concluded(settled: Mapping[str, Any], last: Mapping[str, Any], because: str | None) -> Told:
    """A host's last words; where its commit was to be undone and it was lost, that failed."""
    if settled["state"] == "committed" and last["state"] == "unreachable":
        return taken_back(settled, last, because or "its batch failed")
    return dict(last)


def turns_s(each_s: float, hosts: int, at_once: int) -> float:
    """How long it takes until all hosts of a batch have had their turn, so many of them at once.

    >>> turns_s(120, 1, 5), turns_s(120, 6, 5), turns_s(120, 3, 1)
    (120, 240, 360)
    """
    return each_s * math.ceil(hosts / at_once)


def outcome(
    words: Mapping[str, Any],
    *,
    is_check: bool,
    drains: Iterable[Any] = (),
    notes: Iterable[str] = (),
) -> Told:
    """How it went on a host, from its last words.

    A return because of the batch has that as its reason. A check that found changes has a
    state of its own: `changes`. `notes` say too which load balancer could not be told.
    """
    found = dict(words)
    if found["state"] == "returned" and found.get("because"):
        found["reason"] = _reason("batch", str(found["because"]))
    if found["state"] == "seen":
        found |= refused("ansible", "the play ended before this host was switched")
    if is_check and found["state"] not in {"refused", "unreachable"}:
        changes = found.get("changed") or found.get("missing")
        found["state"] = "changes" if changes else "unchanged"
    undrained = [note for each in drains if (note := _undrained(each))]
    return found | {"notes": [*found.get("notes", ()), *notes, *undrained]}


def _undrained(result: Mapping[str, Any]) -> str | None:
    """What a load balancer did not do as asked: the host was switched all the same.

    One that still leaves the host out ends that by itself, with the lease.
    """
    words = _of_result(result)
    reason = words.get("reason") or {}
    message = reason.get("message") or words.get("refused")
    where = result.get("advisor_balancer", "the load balancer")
    if not message and words.get("is_calm") is False:
        return f"{where}: drained, and it did not see the requests to this host end in time"
    asked = (
        "not sent to again before its lease ends"
        if words.get("verb") == "undrain"
        else "not drained"
    )
    return f"{where}: {asked}: {message}" if message else None


def shown(words: Mapping[str, Any], *, is_check: bool) -> dict[str, Any]:
    """The same words as Ansible's own output has them; the conclusion alone can be a failure."""
    found: dict[str, Any] = {"changed": words["state"] in CHANGED}
    if words.get("diff"):
        found["diff"] = [_difference(each) for each in words["diff"]]
    if words["verb"] == "conclude":
        found["msg"] = said(words)
        found["failed"] = not is_check and words["state"] not in GOOD
    return found


def _difference(each: Mapping[str, Any]) -> dict[str, str]:
    """One file's difference, by the keys that Ansible shows."""
    return {
        "before": each["before"] or "",
        "after": each["after"] or "",
        "before_header": each["path"],
        "after_header": each["path"],
    }
