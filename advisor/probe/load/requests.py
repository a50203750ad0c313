"""What is sent: one GET a route, in the proportions of the mix."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from advisor import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.probe.address import Endpoint

CYCLE = 200


def request_bytes(endpoint: Endpoint, path: str | None = None) -> bytes:
    """The GET of a route; of the endpoint's own where none is given."""
    return (
        f"GET {path or endpoint.path} HTTP/1.1\r\nHost: {endpoint.authority}\r\n"
        f"User-Agent: advisor/{__version__}\r\nAccept: */*\r\n\r\n"
    ).encode("ascii")


def cycle(weights: Sequence[float]) -> list[int]:
    """Indices in the proportions of `weights` (by largest remainder), shuffled, to be repeated.

    A fixed cycle has the mix's proportions in every window, where independent draws would add
    noise of their own. Every route gets at least one turn in 200.

    >>> sorted(cycle([3, 1]))[:4], len(cycle([3, 1]))
    ([0, 0, 0, 0], 200)
    """
    if len(weights) == 1:
        return [0]
    total = sum(weights)
    exact = [CYCLE * weight / total for weight in weights]
    turns = [max(1, int(share)) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: exact[i] - turns[i], reverse=True)
    for index in by_remainder[: max(0, CYCLE - sum(turns))]:
        turns[index] += 1
    order = [index for index, count in enumerate(turns) for _ in range(count)]
    random.Random(0).shuffle(order)  # noqa: S311 - an order, no secret; the same in every probe
    return order


class Mix:
    """The routes of a load and whose turn it is."""

    def __init__(self, endpoint: Endpoint, routes: Mapping[str, float]) -> None:
        self.paths = tuple(routes)
        self.requests = tuple(request_bytes(endpoint, path) for path in routes)
        self._all = cycle(tuple(routes.values()))
        self._order = self._all
        self._turn = 0

    def next(self) -> int:
        """The index of the route to send now."""
        self._turn = (self._turn + 1) % len(self._order)
        return self._order[self._turn]

    def only(self, path: str) -> None:
        """Send this route alone, until `everything` is called."""
        self._order, self._turn = [self.paths.index(path)], 0

    def everything(self) -> None:
        """Send the whole mix again."""
        self._order, self._turn = self._all, 0
