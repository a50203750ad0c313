"""What a server's file leaves out because the target's version does not know it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.render.component import Gate
from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.render.values import Inputs

NAMES = {"nginx": "nginx", "rq": "RQ"}


@dataclass(frozen=True)
class ValueGate:
    """A value that a setting knows only since a version; its other values are older."""

    id: str
    value: Any
    gate: Gate


def gate(capability: str, spelt: str, needs: str = ": it needs") -> Gate:
    """The gate of one key of a file, as the file spells it.

    >>> gate("uvicorn.websockets_sansio", "UVICORN_WS=websockets-sansio").otherwise
    'UVICORN_WS=websockets-sansio is left out: it needs Uvicorn 0.35'
    """
    since = CAPABILITIES[capability]
    product = NAMES.get(since.component) or since.component.capitalize()
    first = ".".join(map(str, since.first))
    return Gate(since.component, since.first, f"{spelt} is left out{needs} {product} {first}")


def gates(ids: Sequence[str], spelt: Callable[[str], str]) -> dict[str, Gate]:
    """The gates of the settings whose first version the rules know."""
    return {id_: gate(id_, spelt(id_)) for id_ in ids if id_ in CAPABILITIES}


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
