"""What the rules of Celery and RQ have in common: their unit's weight, and memory that is short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from advisor.model.sharing import WEB_WEIGHT
from advisor.quantities import size
from advisor.rules.registry import Choice

if TYPE_CHECKING:
    from advisor.documents import Value
    from advisor.model.sharing import Kind, Shares

Weight = Annotated[int, Field(ge=1, le=10000)] | None


def inputs(shares: Shares) -> dict[str, Value]:
    """The figures that the sharing gave."""
    return {
        "web_memory_bytes": shares.web_memory_bytes,
        "background_memory_bytes": shares.background_memory_bytes,
        "web_cores": round(shares.web_cores, 2),
    }


def least(shares: Shares) -> Choice:
    """One, where memory holds none: less is no worker at all."""
    total = shares.web_memory_bytes + shares.background_memory_bytes
    return Choice(
        1,
        f"The least there is: beside the web's half, {size(total)} of memory do not hold it.",
        binding="memory",
        confidence="low",
        inputs=inputs(shares),
    )


def weight(shares: Shares, kind: Kind) -> Choice | None:
    """The weight of a unit that computes; None where it waits, and leaves the CPU by itself."""
    if kind != "cpu" or shares.cpu_weight is None:
        return None
    return Choice(
        shares.cpu_weight,
        f"Beside the web's {WEB_WEIGHT}: background work computes while requests leave the CPU, "
        f"and the web keeps {shares.web_cores:.3g} CPUs while both want it.",
        inputs=inputs(shares),
    )
