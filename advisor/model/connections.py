"""Database connections of one worker, so that all workers of all hosts stay within the database's.

A reload starts the new workers before it stops the old (Gunicorn on HUP), so for a moment there
are twice as many, each with a pool of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Old and new workers stand side by side in a reload.
SURGE = 2
# No worker holds more: a figure that is off the scale stays a number.
MOST = 100_000


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections that one worker keeps (`size`), and those it may open beyond (`overflow`)."""

    size: int
    overflow: int

    @property
    def most(self) -> int:
        """Connections that one worker may hold at once."""
        return self.size + self.overflow


def per_worker(max_connections: int, reserved: int, hosts: int, workers: int) -> int:
    """Connections that one of `workers` on each of `hosts` may hold, a reload included.

    `reserved` are kept for others. 0 where there is not one for each.

    >>> per_worker(100, 10, hosts=2, workers=3)
    7
    >>> per_worker(100, 10, hosts=4, workers=16)
    0
    """
    return max(0, max_connections - reserved) // (SURGE * max(1, hosts) * max(1, workers))


def taken(each: int, hosts: int, workers: int) -> int:
    """Connections that all workers hold when each holds `each`, at the height of a reload.

    >>> taken(7, hosts=2, workers=3)
    84
    """
    return SURGE * max(1, hosts) * max(1, workers) * each


def at_once(rate_rps: float, held_s: float, workers: int) -> int:
    """Requests in service in one worker at a time, each for `held_s`; at least one.

    Little's law, N = X R, with the rate of all workers shared evenly.

    >>> at_once(500, 0.04, workers=2)
    10
    """
    return max(1, math.ceil(min(MOST, rate_rps * held_s / max(1, workers)) - 1e-9))


def pool(share: int, used: int, most: int) -> Pool:
    """What a worker keeps and may add where it may hold `share`, uses `used`, and at times `most`.

    One connection at least, fit or not: without one it serves nobody.

    >>> pool(share=7, used=5, most=15)
    Pool(size=5, overflow=2)
    >>> pool(share=0, used=5, most=15)
    Pool(size=1, overflow=0)
    """
    size = max(1, min(used, share))
    return Pool(size, max(0, min(most, share) - size))
