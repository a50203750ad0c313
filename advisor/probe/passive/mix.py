"""From logged requests to the routes worth measuring, each with its share. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.probe.passive.entry import Entry

MOST = 8
_LONG = 20
_IDENTIFIER = re.compile(
    r"[0-9]+"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{8,}"
)
# Letters and digits without a word between: a key, a signature, a token of a reset link.
_SECRET = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_~.=+%]{20,}|.*eyJ.{20,}")
_UUID_LENGTH = 36


@dataclass(frozen=True)
class Route:
    """A route of the mix: its most frequent path, which can be requested, and what it stands for.

    `weight` is the share of the counted requests, `count` their number.
    """

    path: str
    template: str
    weight: float
    count: int


@dataclass(frozen=True)
class Mix:
    """The routes by their share, which sums to 1 with `left_out_ratio`: the rest, and secrets.

    `other_methods_ratio` is the share of all requests that are neither GET nor HEAD.
    """

    routes: tuple[Route, ...]
    left_out_ratio: float
    other_methods_ratio: float


def template(path: str) -> str:
    """The route of a path: segments that are numbers, identifiers or long become `{}`.

    >>> template("/items/42/parts/9f8e7d6c5b4a"), template("/about/us")
    ('/items/{}/parts/{}', '/about/us')
    """
    return "/".join(
        "{}" if _IDENTIFIER.fullmatch(part) or len(part) >= _LONG else part
        for part in path.split("/")
    )


def may_be_secret(path: str) -> bool:
    """Whether a segment looks like a key or token, which no document of ours repeats.

    >>> may_be_secret("/reset/5dGh71kQx0ZpW9aYt3Vb"), may_be_secret("/items/42")
    (True, False)
    """
    return any(
        len(part) != _UUID_LENGTH and _SECRET.fullmatch(part) is not None
        for part in path.split("/")
        if not part.isdigit()
    )


def mix(entries: Iterable[Entry], most: int = MOST) -> Mix:
    """The `most` frequent routes of the GET and HEAD requests that an app answered well.

    A query is left away: it may hold what is nobody's business.
    """
    seen = [entry for entry in entries if entry.proxied is not False]
    read = [entry for entry in seen if entry.method in {"GET", "HEAD"}]
    paths: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in read:
        if entry.status < 400:
            paths[template(entry.path)][entry.path] += 1
    total = sum(counts.total() for counts in paths.values())
    # Equal counts in the order of their names: the same log gives the same mix.
    ranked = sorted(paths.items(), key=lambda item: (-item[1].total(), item[0]))
    routes = [
        Route(path, name, counts.total() / total, counts.total())
        for name, counts in ranked
        if not may_be_secret(path := min(counts, key=lambda each: (-counts[each], each)))
    ][:most]
    return Mix(
        routes=tuple(routes),
        left_out_ratio=1 - sum(r.count for r in routes) / total if total else 0.0,
        other_methods_ratio=1 - len(read) / len(seen) if seen else 0.0,
    )
