"""What a play said, event by event, and how it went on each host. Pure.

The callback plugin writes one JSON line an event: `play` (a batch begins), `task`, `advisor` (our
action plugin's words), `unreachable` and `failed`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from advisor.deploy.batches import refused

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


def parse(text: str) -> list[Event]:
    r"""The events of a file that may still be written to: a last line without an end waits.

    >>> parse('{"event": "task", "task": "Look"}\n{"event": "pl')
    [{'event': 'task', 'task': 'Look'}]
    """
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line]


def outcomes(events: Iterable[Event]) -> list[dict[str, Any]]:
    """How it went on each host of the plays, in the order of the inventory.

    A host that no play reached is `untouched`: a batch before its own had failed.
    """
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["event"] == "play":
            for host in event["hosts"]:
                found.setdefault(host, {})
        elif "host" in event:
            found[event["host"]] = found.get(event["host"], {}) | _words(event)
    return [_ended(host, words) for host, words in found.items()]


def _words(event: Event) -> dict[str, Any]:
    """What an event adds to a host's words; those that only lead on add nothing."""
    if event["event"] == "advisor":
        words: dict[str, Any] = event["words"]
        ends = words["verb"] == "conclude" or (words["verb"] == "look" and words["state"] != "seen")
        return words if ends else {}
    if event["event"] == "unreachable":
        return refused("connection", event["message"].strip()) | {"state": "unreachable"}
    return refused("ansible", f"{event['task']}: {event['message']}")


def _ended(host: str, words: dict[str, Any]) -> dict[str, Any]:
    """What is told of a host: nothing that is empty."""
    told = {"state": "untouched"} | {key: words[key] for key in TOLD if words.get(key)}
    return {"host": host, **told}


def progress(event: Event) -> str | None:
    """A line for whoever waits; none for what says nothing new."""
    words = event.get("words", {})
    # `settle` says again what `switch` said, but for what it decided.
    if words.get("verb") == "switch" or (words.get("verb") == "settle" and "because" in words):
        return f"{event['host']}: {words['state']}"
    if event["event"] == "unreachable":
        return f"{event['host']}: unreachable"
    return None
