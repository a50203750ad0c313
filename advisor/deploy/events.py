"""What a play said, event by event, and how it went on each host. Pure.

The callback plugin writes one JSON line an event: `play` (a batch begins), `task`, `advisor` (our
action plugin's words), `unreachable` and `failed`. Ansible's own warnings come as `warning`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from advisor.deploy.batches import TERMINAL, outcome, refused, unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

Event = dict[str, Any]
# Of a host's words, those that are told.
TOLD = (
    "state",
    "app",
    "from",
    "generation",
    "changed",
    "reason",
    "notes",
    "missing",
    "gate",
    "diff",
    "status",
)
# The task from which on a host may be another than it was, and the verbs that say how far it is.
SWITCHING = "Switch, and hold"
UNDER_WAY = frozenset({"switch", "settle", "take_back"})
# Groups of ours that an inventory need not have.
_USUAL = re.compile(r"pattern, ignoring: advisor_\w+\s*$")


def parse(text: str) -> list[Event]:
    r"""The events of a file that may still be written to: a last line without an end waits.

    >>> parse('{"event": "task", "task": "Look"}\n{"event": "pl')
    [{'event': 'task', 'task': 'Look'}]
    """
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line]


def warnings(text: str) -> list[str]:
    r"""Ansible's warnings in what it wrote to stderr, each on one line, but for the usual ones.

    >>> warnings("[WARNING]: no host\nwbe2\n[ERROR]: x\n[WARNING]: pattern, ignoring: advisor_a\n")
    ['no host wbe2']
    """
    parts = re.split(r"^(?=\[[A-Z ]+\]: )", text, flags=re.MULTILINE)
    found = (" ".join(part.split()) for part in parts if part.startswith("[WARNING]: "))
    told = (each.removeprefix("[WARNING]: ") for each in found if not _USUAL.search(each))
    return list(dict.fromkeys(told))


def outcomes(events: Iterable[Event]) -> list[dict[str, Any]]:
    """How it went on each host of the plays, in the order of the inventory.

    A host that no play reached is `untouched`: a batch before its own had failed. Where the play
    itself ended on the way, a host is as far as it last said.
    """
    found: dict[str, dict[str, Any]] = {}
    batch: list[str] = []
    begun: set[str] = set()
    for event in events:
        if event["event"] == "play":
            batch = event["batch"]
            for host in event["hosts"]:
                found.setdefault(host, {})
        elif event["event"] == "task":
            is_switching = event["task"].endswith(SWITCHING) and not event.get("check")
            begun.update(batch if is_switching else ())
        elif "host" in event:
            found[event["host"]] = _after(found.get(event["host"], {}), event)
    return [_ended(host, words, is_begun=host in begun) for host, words in found.items()]


def _after(words: dict[str, Any], event: Event) -> dict[str, Any]:
    """A host's words after an event; those that only lead on add nothing."""
    if event["event"] == "unreachable":
        said = unreachable(event["message"])
    elif event["event"] == "failed":
        said = refused("ansible", f"{event['task']}: {event['message']}")
    elif event["words"]["verb"] in UNDER_WAY:
        return {"under_way": event["words"]}
    else:
        said = event["words"]
        ends = said["verb"] == "conclude" or (said["verb"] == "look" and said["state"] != "seen")
        if not ends:
            return words
    return words | said


def _ended(host: str, words: dict[str, Any], *, is_begun: bool) -> dict[str, Any]:
    """What is told of a host: nothing that is empty."""
    if is_begun and "state" not in words:
        words = _cut_off(words.get("under_way"))
    told = {"state": "untouched"} | {key: words[key] for key in TOLD if words.get(key)}
    return {"host": host, **told}


def _cut_off(words: dict[str, Any] | None) -> dict[str, Any]:
    """Words for a host of which nobody concluded anything: the end of its own, if it said one."""
    if words and words["state"] in TERMINAL:
        return outcome(words, is_check=False)
    how = "held" if words and words["state"] == "held" else "being switched"
    return refused(
        "play",
        f"the play ended while this host was {how}: it returns by itself within its deadline",
        "See what it has then: advisor rollback --list.",
    )


def progress(event: Event) -> str | None:
    """A line for whoever waits; none for what says nothing new."""
    if event["event"] == "warning":
        return f"advisor: warning: {event['message']}"
    words = event.get("words", {})
    # `settle` says again what `switch` said, but for what it decided.
    if words.get("verb") == "switch" or (words.get("verb") == "settle" and "because" in words):
        return f"{event['host']}: {words['state']}"
    is_lost = words.get("verb") == "look" and words["state"] == "unreachable"
    if event["event"] == "unreachable" or is_lost:
        return f"{event['host']}: unreachable"
    return None
