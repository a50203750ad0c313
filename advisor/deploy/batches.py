"""What the hosts of a batch say, put together: who may go on, and how it went. Pure.

Ansible's action plugin uses this where nothing of ours is installed: standard library alone. A
host's words are a mapping with a `state`, by the step of the play that they are registered as.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
CHANGED = frozenset({"held", "committed", "returned", "return_failed", "changes"})

Told = dict[str, Any]


def refused(step: str, message: str, look: str = "") -> Told:
    """Words for a host on which nothing was done."""
    return {"state": "refused", "reason": _reason(step, message, look)}


def _reason(step: str, message: str, look: str = "") -> dict[str, Any]:
    return {
        "step": step,
        "message": message,
        "url": None,
        "status": None,
        "lines": [],
        "look": look,
    }


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


def before_its_user(found: Mapping[str, Any], user: str | None) -> Told:
    """What a check found where an apply would first make the app's `user`; null: it is there.

    Without it the files have nobody to belong to, and the app's trial nobody to run it: that is
    no refusal, but it was not checked.
    """
    reason = found.get("reason") or {}
    if user is None or f" {user} " not in str(reason.get("message")):
        return dict(found)
    note = f"the user {user} is not there yet: an apply makes it, and then has the files checked"
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
            return refused("prepare", str(variables["advisor_failed"]))
        return _of_result(result)
    return refused("look", "was not looked at")


def is_taken(result: Mapping[str, Any]) -> bool:
    """Whether a registered result is one of a task that ran."""
    return bool(result) and not result.get("skipped")


def _of_result(result: Mapping[str, Any]) -> Told:
    if result.get("unreachable"):
        reason = _reason("connection", str(result.get("msg", "")).strip())
        return {"state": "unreachable", "reason": reason}
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


def outcome(words: Mapping[str, Any], *, is_check: bool, drains: Iterable[Any] = ()) -> Told:
    """How it went on a host, from its last words.

    A return because of the batch has that as its reason. A check that found changes has a
    state of its own: `changes`. `notes` say which load balancer could not be told.
    """
    found = dict(words)
    if found["state"] == "returned" and found.get("because"):
        found["reason"] = _reason("batch", str(found["because"]))
    if found["state"] == "seen":
        found |= refused("ansible", "the play ended before this host was switched")
    if is_check and found["state"] not in {"refused", "unreachable"}:
        found["state"] = "changes" if found.get("changed") else "unchanged"
    notes = [note for each in drains if (note := _undrained(each))]
    return found | {"notes": [*found.get("notes", ()), *notes]}


def _undrained(result: Mapping[str, Any]) -> str | None:
    """What a load balancer did not do as asked: the host was switched all the same.

    One that still leaves the host out ends that by itself, with the lease.
    """
    words = _of_result(result)
    reason = words.get("reason") or {}
    message = reason.get("message") or words.get("refused")
    where = result.get("advisor_balancer", "the load balancer")
    if not message and words.get("is_calm") is False:
        return f"{where}: drained, and requests to this host went on longer than it waited"
    asked = (
        "not sent to again before its lease ends"
        if words.get("verb") == "undrain"
        else "not drained"
    )
    return f"{where}: {asked}: {message}" if message else None
