"""Whether an app is worse than before, by the same light load before and after. Pure.

Quantiles are compared by their confidence bounds, found from ranks alone (the number of samples
below a quantile is binomial, whatever their distribution): a few stalls move no bound. Beyond the
bounds comes a margin, for a host is never the same twice.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

from .services import Baseline

if TYPE_CHECKING:
    from collections.abc import Sequence

# What may be noise: a tenth of a second, and a fifth of what it was.
MARGIN_S = 0.1
MARGIN_RATIO = 0.2
# How sure a bound is.
CONFIDENCE = 0.95
QUANTILES = {"p50": 0.5, "p95": 0.95}
# Failures: so many at least, and unlikely at the rate of before, or at this one.
FEWEST_FAILURES = 3
CLEAN_RATIO = 0.005
UNLIKELY = 0.01
# A sample of fewer says nothing.
FEWEST = 8


def harm(before: Baseline | None, after: Baseline) -> str | None:
    """What is worse, in words; null where nothing is beyond noise.

    Without a before only failures can be told.
    """
    slower = _slower(before, after) if before is not None else None
    return _failing(before or Baseline(), after) or slower


def _failing(before: Baseline, after: Baseline) -> str | None:
    if after.errors < FEWEST_FAILURES:
        return None
    rate = max(CLEAN_RATIO, before.errors / _requests(before) if _requests(before) else 0.0)
    if rate < 1 and 1 - _at_most(_requests(after), rate)[after.errors - 1] < UNLIKELY:
        was = f", {before.errors} of {_requests(before)} before" if _requests(before) else ""
        return f"{after.errors} of {_requests(after)} requests failed{was}"
    return None


def _slower(before: Baseline, after: Baseline) -> str | None:
    if min(len(before.times_s), len(after.times_s)) < FEWEST:
        return None
    old, new = sorted(before.times_s), sorted(after.times_s)
    for name, p in QUANTILES.items():
        most = old[_upper(len(old), p)]
        if new[_lower(len(new), p)] > most * (1 + MARGIN_RATIO) + MARGIN_S:
            was, now = quantile(old, p), quantile(new, p)
            return f"{name} went from {was * 1000:.0f} ms to {now * 1000:.0f} ms"
    return None


def quantile(ordered: Sequence[float], p: float) -> float:
    """The sample that a share `p` of all does not exceed.

    >>> quantile([1.0, 2.0, 3.0, 4.0], 0.5), quantile([1.0, 2.0, 3.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    return ordered[max(0, math.ceil(p * len(ordered)) - 1)]


def _lower(n: int, p: float) -> int:
    """The highest place whose sample is below the quantile with confidence; else the first.

    The sample in place k is at most the quantile where at least k + 1 of n are.
    """
    sure = [k for k, chance in enumerate(_at_most(n, p)) if 1 - chance >= CONFIDENCE]
    return max(sure, default=0)


def _upper(n: int, p: float) -> int:
    """The lowest place whose sample is above the quantile with confidence; else the last."""
    sure = [k for k, chance in enumerate(_at_most(n, p)) if chance >= CONFIDENCE]
    return min([*sure, n - 1])


def _at_most(n: int, p: float) -> list[float]:
    """The chances of at most 0, 1, ... n successes of n.

    >>> [round(chance, 3) for chance in _at_most(2, 0.5)]
    [0.25, 0.75, 1.0]
    """
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
        for k in range(n + 1)
    )
    return [min(1.0, chance) for chance in accumulate(map(math.exp, logs))]


def _requests(load: Baseline) -> int:
    return len(load.times_s) + load.errors
