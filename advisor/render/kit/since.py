"""What a server's file leaves out because the target's version does not know it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.render.component import Gate
from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.render.values import Inputs, Version


@dataclass(frozen=True)
class ValueGate:
    """A value that a setting knows only since a version; its other values are older."""

    id: str
    value: Any
    gate: Gate


def gate(server: str, spelt: str, since: Version) -> Gate:
    """The gate of one key of a server's file, as the file spells it.

    >>> gate("uvicorn", "UVICORN_WS=wsproto", (0, 2)).otherwise
    'UVICORN_WS=wsproto is left out: it needs Uvicorn 0.2'
    """
    first = ".".join(map(str, since))
    return Gate(server, since, f"{spelt} is left out: it needs {server.capitalize()} {first}")


def gates(server: str, ids: Sequence[str], spelt: Callable[[str], str]) -> dict[str, Gate]:
    """The gates of the settings whose first version the rules know."""
    return {
        id_: gate(server, spelt(id_), CAPABILITIES[id_].first) for id_ in ids if id_ in CAPABILITIES
    }


def known_values(
    inputs: Inputs, ids: Sequence[str], values: Sequence[ValueGate]
) -> tuple[tuple[str, ...], list[str]]:
    """The ids whose value the target's version knows, and why the others are left out."""
    out = {
        each.id: f"{each.gate.otherwise}; the target's version is "
        f"{inputs.found(each.gate.component)}."
        for each in values
        if inputs.values[each.id] == each.value
        and not inputs.has(each.gate.component, *each.gate.since)
    }
    return tuple(id_ for id_ in ids if id_ not in out), list(out.values())
