"""Intervals: what a series of windows says about a ratio, and latencies about a percentile."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from advisor.documents import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 1000
# Means of few windows are less certain than their own spread says: Student's t at 95 % against
# the normal's 1.96, for 1, 2, 3, ... degrees of freedom.
_T95 = (
    *(12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23),
    *(2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09),
)
MIN_WINDOWS = 3
_MIN_TAIL = 10


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], *, n: int, floor: float = 0.0
) -> Estimate | None:
    """Sum of numerators over sum of denominators, with a 95 % interval.

    Each pair is one window of load: a block whose samples correlate among themselves, so whole
    windows are resampled (block bootstrap; Efron and Tibshirani 1993, ch. 8), and the spread is
    widened by Student's t for their small number. `n` is the number of samples behind it all,
    `floor` the lowest value that makes sense. None for fewer than three windows or a zero
    denominator.

    >>> ratio([1.0, 1.0, 1.0], [10, 10, 10], n=30)
    Estimate(value=0.1, low=0.1, high=0.1, n=30)
    """
    total = sum(denominators)
    if len(numerators) < MIN_WINDOWS or total <= 0:
        return None
    value = max(floor, sum(numerators) / total)
    generator = random.Random(0)  # noqa: S311 - resampling, no secret; seeded: same data, same interval
    count = len(numerators)
    draws = []
    for _ in range(RESAMPLES):
        chosen = generator.choices(range(count), k=count)
        below = sum(denominators[i] for i in chosen)
        if below > 0:
            draws.append(sum(numerators[i] for i in chosen) / below)
    draws.sort()
    widen = _t95(count - 1) / 1.96
    low = value - (value - draws[int(0.025 * len(draws))]) * widen
    high = value + (draws[min(len(draws) - 1, int(0.975 * len(draws)))] - value) * widen
    return Estimate(value=value, low=max(floor, min(low, value)), high=max(high, value), n=n)


# Counts as so many visits' worth of evidence, more than one probe has: visits also differ by how
# fast the machine was meanwhile. In 49 probes they did by 5.8 % (median standard deviation), and
# yet what another client found lay 4.0 % away (root mean square), brought to the same speed.
PRIOR_WEIGHT = 12
# Busy processes repeat themselves within so much (a relative standard deviation); what waking
# up costs, which caches, kernel and hypervisor decide, varies by so many seconds a request.
REPEATED = 0.03
WAKING_S = 40e-6


def between_loads(utilisation: float, cpu_s: float) -> float:
    """How far one load's CPU per request lies from the next one's: a relative standard deviation.

    The less busy the processes, the more requests find them asleep, and what waking up costs
    differs from minute to minute, with the same client on the same launch
    (benchmarks/measurement prints how far its reference differs from itself). `utilisation`
    is of the cores that they could use, 0 to 1; `cpu_s` a request's CPU seconds.

    >>> round(between_loads(1.0, 0.001), 3), round(between_loads(0.0, 0.001), 3)
    (0.03, 0.05)
    """
    asleep = 1 - min(1.0, max(0.0, utilisation))
    return math.hypot(REPEATED, WAKING_S * asleep**2 / cpu_s) if cpu_s > 0 else REPEATED


def another(estimate: Estimate, visits: Sequence[float], *, prior: float) -> Estimate:
    """The same value with the interval of what *another* load would give.

    The spread between visits is a mean of theirs and of the `prior` (a relative standard
    deviation), weighted by degrees of freedom (a scaled inverse chi-squared prior; Gelman et al.
    2013, 2.6); both a new load and the mean of the visits vary by it. What windows differ by is
    part of how visits differ, and counts by itself only where one visit stands alone: independent
    parts add in squares (GUM, JCGM 100:2008, 5.1.2).

    >>> round(another(Estimate(value=1.0, low=1.0, high=1.0, n=9), [1.0], prior=0.04).high, 2)
    1.12
    """
    count = max(1, len(visits))
    mean = sum(visits) / count if visits else estimate.value
    seen = sum((visit / mean - 1) ** 2 for visit in visits) if mean > 0 else 0.0
    freedom = PRIOR_WEIGHT + count - 1
    variance = (PRIOR_WEIGHT * prior**2 + seen) / freedom
    half = _t95(freedom) * math.sqrt(variance * (1 + 1 / count)) * estimate.value
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    if count > 1:
        below = above = 0.0
    low, high = estimate.value - math.hypot(below, half), estimate.value + math.hypot(above, half)
    return Estimate(value=estimate.value, low=max(0.0, low), high=high, n=estimate.n)


def _t95(freedom: int) -> float:
    """Student's t at 95 %, two-sided."""
    return _T95[min(freedom, len(_T95)) - 1]


def percentile(latencies: Sequence[float], p: float) -> Estimate | None:
    """The p-quantile (0 < p < 1) of latencies in seconds, with a 95 % interval.

    Distribution-free, from order statistics (Conover 1999, 3.2). None where fewer than ten
    samples lie above it: such a figure would be made of chance.
    """
    n = len(latencies)
    if n * (1 - p) < _MIN_TAIL:
        return None
    ordered = sorted(latencies)
    spread = 1.96 * math.sqrt(n * p * (1 - p))
    low = max(0, math.floor(n * p - spread) - 1)
    high = min(n - 1, math.ceil(n * p + spread))
    return Estimate(
        value=ordered[min(n - 1, math.ceil(n * p) - 1)], low=ordered[low], high=ordered[high], n=n
    )


def quantile(samples: Sequence[float], p: float) -> float | None:
    """The p-quantile without an interval, where `percentile` would print it; else None."""
    estimate = percentile(samples, p)
    return estimate.value if estimate else None


def proportion(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval for `hits` of `n`; (0, 1) without a sample."""
    if n == 0:
        return 0.0, 1.0
    z2 = 1.96**2
    share = hits / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)
