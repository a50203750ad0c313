"""The routes that are measured, and the share of the requests that each one gets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.probe.address import request_target
from advisor.probe.questions.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A load of 30 s tells little of a route that gets less than one request in so many.
MOST_ROUTES = 50
LEAST, MOST = 1e-6, 1e6
_NUMBER = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True)
class Route:
    """A path with its query, as it is sent, and its share of the requests (above 0, at most 1)."""

    path: str
    weight: float


def shares(weights: Mapping[str, float]) -> list[Route]:
    """Routes of any positive weights, so that these sum to 1.

    >>> shares({"/": 3, "/items": 1})
    [Route(path='/', weight=0.75), Route(path='/items', weight=0.25)]
    """
    total = sum(weights.values())
    return [Route(path, weight / total) for path, weight in weights.items()]


def parse_endpoints(texts: Sequence[str]) -> list[Route]:
    """The routes of `--endpoint PATH=WEIGHT` options; without `=WEIGHT` a route weighs 1.

    The last `=` is the weight's where a number follows it, and the path's otherwise: a path that
    itself ends so, such as `/items?page=2`, has to be given with its weight, `/items?page=2=1`.

    Raises `InvalidInput` naming the option and its value.

    >>> parse_endpoints(["/items?page=2=3", "/search?q=tea"])
    [Route(path='/items?page=2', weight=0.75), Route(path='/search?q=tea', weight=0.25)]
    """
    weights: dict[str, float] = {}
    for text in texts:
        name = f"--endpoint {printable(text)!a}"
        path, weight = _split(text, name)
        if path in weights:
            raise InvalidInput(
                f"{name}: {path} is given twice",
                remedy="Give each route once, with the sum of its weights.",
            )
        weights[path] = weight
    if len(weights) > MOST_ROUTES:
        raise InvalidInput(f"--endpoint: {len(weights)} routes; at most {MOST_ROUTES} are measured")
    return shares(weights)


def _split(text: str, name: str) -> tuple[str, float]:
    head, equals, tail = text.rpartition("=")
    weighed = bool(equals) and _NUMBER.fullmatch(tail) is not None
    path = request_target(head if weighed else text, name=name)
    weight = float(tail) if weighed else 1.0
    if not LEAST <= weight <= MOST:
        raise InvalidInput(
            f"{name}: the weight {tail} is not between {LEAST:f} and {MOST:,.0f}",
            remedy="Weights are shares of any total: /=3 and /items=1 send three to one.",
        )
    return path, weight
