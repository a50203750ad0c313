"""What single requests can ask: does a route answer, with what, and may it be kept?

A probe asks each route a few times before it puts load on it; none of this is load.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import GuardRefused, TooLittleEvidence
from advisor.probe.questions import caching
from advisor.probe.questions.fetch import Asker, check
from advisor.quantities import count

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from advisor.documents import HttpFacts
    from advisor.errors import AdvisorError
    from advisor.probe.address import Endpoint
    from advisor.probe.questions.caching import Answer

REPEATS = 5
# Of repeats: for the first route, and for all the others together.
PATIENCE_S = 2.0
OTHERS_PATIENCE_S = 6.0
# The last repeat comes so long after the first answer that a clock in the body has moved on.
SPREAD_S = 1.05
# Of a route's repeats: a few large answers tell as much as many.
REPEATED_BYTES = 16 * 1024**2
HEALTH_S = 2.0
ALL_S = 30.0
HEALTH_ROUTES = ("/healthz", "/health", "/ping")
_OK, _REDIRECT = 200, 300


@dataclass(frozen=True)
class Answers:
    """Facts of the routes, then of health routes that answer; the status of each of those tried.

    A status of 0 is no answer. `sent` counts requests. `left_out` are the routes that no load can
    be put on, each with its reason.
    """

    http: list[HttpFacts]
    health: dict[str, int]
    sent: int
    left_out: dict[str, str]


async def ask(endpoint: Endpoint, routes: Sequence[str] = (), *, strict: bool = True) -> Answers:
    """Put the questions to each of `routes` (paths; by default the endpoint's own), one at a time.

    Routes that have no end are left out, and without `strict` (for routes that nobody named) so
    are those that fail. Raises, where that happens to all of them or to any under `strict`:
    `TooLittleEvidence` for a server that refuses, times out or answers an error,
    `GuardRefused` for a redirect; and `InvalidInput` for what speaks no HTTP.
    """
    paths = tuple(dict.fromkeys(routes or (endpoint.path,)))
    others_s = min(PATIENCE_S, OTHERS_PATIENCE_S / max(1, len(paths) - 1))
    patience_s = [PATIENCE_S, *[others_s] * (len(paths) - 1)]
    async with Asker(endpoint) as asker:
        asked = [_Route(asker, *each) for each in zip(paths, patience_s, strict=True)]
        began = time.monotonic()
        try:
            async with asyncio.timeout(ALL_S):
                await _each(asked, _Route.ask, strict=strict)
        except TimeoutError:
            raise TooLittleEvidence(
                f"{endpoint.url}: asking {count(len(paths), 'route')} takes over {ALL_S:g} s",
                remedy="Name fewer routes, or quicker ones.",
            ) from None
        health = {
            path: await asker.look(path, within_s=HEALTH_S)
            for path in HEALTH_ROUTES
            if path not in paths
        }
        await asyncio.sleep(max(0.0, began + SPREAD_S - time.monotonic()))
        await _each(asked, _Route.ask_again, strict=strict)
    http = [caching.facts(route.path, route.seen) for route in asked if route.plain]
    for path, answer in health.items():
        if answer and _OK <= answer.status < _REDIRECT:
            http.append(caching.facts(path, caching.Seen([answer])))
    known = {route.path: route.plain[0] for route in asked if route.plain}
    statuses = {path: health.get(path) or known.get(path) for path in HEALTH_ROUTES}
    return Answers(
        http=http,
        health={path: answer.status if answer else 0 for path, answer in statuses.items()},
        sent=asker.sent,
        left_out={route.path: route.wrong.message for route in asked if route.wrong},
    )


async def _each(
    asked: Sequence[_Route], question: Callable[[_Route], Awaitable[None]], *, strict: bool
) -> None:
    """Put a question to every route that is well; raise where none is."""
    for route in asked:
        if route.wrong:
            continue
        try:
            await question(route)
        except (TooLittleEvidence, GuardRefused) as error:
            if strict:
                raise
            route.wrong = error
    wrong = [route.wrong for route in asked if route.wrong]
    if len(wrong) == len(asked):
        raise wrong[0]


class _Route:
    """The questions to one route, within the time that they may take."""

    def __init__(self, asker: Asker, path: str, patience_s: float) -> None:
        self.asker, self.path, self.patience_s = asker, path, patience_s
        self.plain: list[Answer] = []
        self.packed: Answer | None = None
        self.unchanged: bool | None = None
        self.once_s = 0.0
        self.wrong: AdvisorError | None = None

    @property
    def seen(self) -> caching.Seen:
        return caching.Seen(self.plain, self.packed, self.unchanged)

    async def ask(self) -> None:
        began = time.monotonic()
        self.plain.append(await self.asker.get(self.path))
        first, answered = self.plain[0], time.monotonic()
        if first.streams:
            self.wrong = TooLittleEvidence(
                f"{self.asker.endpoint.at(self.path).url}: a stream ({first.kind}), which has no "
                "end to measure",
                remedy="Probe a route whose answer ends.",
            )
            return
        self.packed = await self.asker.look(self.path, {"Accept-Encoding": "gzip, br, zstd"})
        now = time.monotonic()
        self.once_s = min(answered - began, now - answered)  # the very first may have been cold
        until = now + self.patience_s
        if first.validator and self._fits(until):
            name, value = first.validator
            conditional = await self.asker.look(self.path, {name: value}, within_s=_left(until))
            self.unchanged = conditional.status == 304 if conditional else None
        # One repeat is left for later.
        while len(self.plain) < REPEATS - 1 and self._fits(until):
            await self._repeat(until)

    async def ask_again(self) -> None:
        """The last repeat, later than the others; none where a route is too slow for it."""
        until = time.monotonic() + self.patience_s
        if self._fits(until):
            await self._repeat(until)

    def _fits(self, until: float) -> bool:
        """Whether one more request is likely to end in time: one given up still burdens the app."""
        read = sum(answer.size for answer in self.plain[1:])
        return time.monotonic() + self.once_s < until and read < REPEATED_BYTES

    async def _repeat(self, until: float) -> None:
        answer = await self.asker.look(self.path, within_s=_left(until))
        if answer:
            check(self.asker.endpoint.at(self.path), answer)
            self.plain.append(answer)
        else:
            self.once_s = float("inf")  # it does not answer every time: no more repeats


def _left(until: float) -> float:
    return max(1.0, until - time.monotonic())
