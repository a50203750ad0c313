"""Open-loop load: Poisson arrivals, kept to time by the kernel's own timer.

uvloop's timers tick in milliseconds; at thousands of requests a second that would turn a
Poisson stream into clumps. timerfd_create(2) wakes the loop within some 50 µs instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.probe.load.engine import Engine

LATE_S = 0.001
_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Becomes readable at a moment of `time.perf_counter()`; `OSError` where there is none."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self.descriptor: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, flags)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def set(self, at: float) -> None:
        """Go off at `at`, or at once if that is past."""
        nanoseconds = max(1, int(at * 1e9))
        value = _Itimerspec(value=_Timespec(nanoseconds // 10**9, nanoseconds % 10**9))
        if self._libc.timerfd_settime(self.descriptor, _ABSOLUTE, ctypes.byref(value), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Wait for the next `set`."""
        os.read(self.descriptor, 8)

    def close(self) -> None:
        """Never go off again."""
        os.close(self.descriptor)


@dataclass
class Offered:
    """Requests that fell due, and how many of them were handed over more than 1 ms late."""

    requests: int = 0
    late: int = 0


def gaps(rate_rps: float, seed: int = 0) -> Iterator[float]:
    """Seconds between arrivals of a Poisson stream; the same for the same seed."""
    generator = random.Random(seed)  # noqa: S311 - arrivals, no secret; repeatable
    while True:
        yield generator.expovariate(rate_rps)


class Arrivals:
    """A Poisson stream of requests to an engine, inside a `with`; `offered` counts."""

    def __init__(self, engine: Engine, rate_rps: float) -> None:
        self.engine = engine
        self.offered = Offered()
        self._gaps = gaps(rate_rps)
        self._alarm = Alarm()
        self._next = 0.0

    def __enter__(self) -> Self:
        self._next = time.perf_counter() + next(self._gaps)
        asyncio.get_running_loop().add_reader(self._alarm.descriptor, self._ring)
        self._alarm.set(self._next)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._alarm.descriptor)
        self._alarm.close()

    def _ring(self) -> None:
        self._alarm.clear()
        now = time.perf_counter()
        while self._next <= now:
            self.offered.requests += 1
            self.offered.late += now - self._next > LATE_S
            self.engine.arrive(self._next)
            self._next += next(self._gaps)
        self._alarm.set(self._next)
