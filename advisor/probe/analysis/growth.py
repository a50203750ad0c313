"""Does the app's memory grow with its requests? Pure; a false alarm is worse than a miss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from advisor.documents import Estimate, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.probe.sample.memory import MemorySample

MIB = 1024**2
WHAT = "memory growth"
REMEDY = "watch real traffic for an hour: --observe 3600"
LEAST_STRETCHES = 8
# Student's t at 95 % for the fewest stretches; cautious for more.
T95 = 2.36
LEAST_REQUESTS = 1000
# CPython's allocator takes an arena at once (1 MiB from 3.10 on): less growth a worker may be
# one or two of them.
ARENAS_BYTES = 2 * MIB
# A leak grows in both halves alike; filling caches and arenas slow down.
STEADY = 0.5


@dataclass(frozen=True)
class Growth:
    """Bytes a request leaves behind, or why that is not said; neither where nothing was read."""

    estimate: Estimate | None
    unknown: Unknown | None


@dataclass(frozen=True)
class Stretch:
    """What was answered and grown between two samples under the same load."""

    requests: int
    grown: int


def growth(samples: Sequence[MemorySample], *, workers: int) -> Growth:
    """Bytes of all workers' memory that grow with each request, over samples in order of time.

    Growth over requests, summed over the stretches between two samples of the same connections
    (and the same source): new connections, and threads for them, take memory too, and are no
    leak. The interval is Student's for a ratio of sums (Cochran 1977, ch. 6): a jump in one
    stretch widens it as it should.

    An estimate only where the interval excludes zero, the growth is at least two arenas a worker,
    and both halves of the requests grew by at least half of the whole's rate.
    """
    stretches = [
        Stretch(after.requests - before.requests, after.held_bytes - before.held_bytes)
        for before, after in pairwise(samples)
        if (before.connections, before.exact) == (after.connections, after.exact)
    ]
    requests, grown = sum(s.requests for s in stretches), sum(s.grown for s in stretches)
    if len(stretches) < LEAST_STRETCHES or requests < LEAST_REQUESTS:
        return _unknown(
            f"cannot be told in this time: {max(0, requests):,} requests in "
            f"{len(stretches)} readings"
        )
    value, half = _ratio(stretches)
    low, high = value - half, value + half
    if low <= 0:
        between = f"{low:,.0f}..{high:,.0f} bytes a request"
        zero = "holds zero" if high >= 0 else "lies below zero"
        return _unknown(f"the interval {zero} after {requests:,} requests: {between}")
    if grown < workers * ARENAS_BYTES:
        return _unknown(
            f"the workers grew by {grown / MIB:,.1f} MiB in {requests:,} requests, "
            "which a few arenas of the allocator explain"
        )
    first, second = (_ratio(part)[0] for part in _halves(stretches))
    if min(first, second) < STEADY * value:
        return _unknown(
            f"not steady: {first:,.0f} bytes a request in the first half of {requests:,} requests, "
            f"{second:,.0f} in the second"
        )
    return Growth(Estimate(value=value, low=low, high=high, n=requests), None)


def _ratio(stretches: Sequence[Stretch]) -> tuple[float, float]:
    """Growth over requests, and half of its 95 % interval."""
    count, requests = len(stretches), sum(s.requests for s in stretches)
    if count < 2 or requests <= 0:
        return 0.0, math.inf
    value = sum(s.grown for s in stretches) / requests
    squares = sum((s.grown - value * s.requests) ** 2 for s in stretches)
    return value, T95 * math.sqrt(squares * count / (count - 1)) / requests


def _halves(stretches: Sequence[Stretch]) -> tuple[list[Stretch], list[Stretch]]:
    """The stretches until half of the requests, and from there on."""
    whole, seen, first = sum(s.requests for s in stretches), 0, []
    for stretch in stretches:
        if seen + stretch.requests / 2 > whole / 2:
            break
        first.append(stretch)
        seen += stretch.requests
    return first, list(stretches[len(first) :])


def _unknown(why: str) -> Growth:
    return Growth(None, Unknown(what=WHAT, why=why, remedy=REMEDY))
