"""How fast the machine was while the probe took its figure, and while the reference was taken.

A virtual machine's cores are fast or slow by turns, each by itself and by a factor of up to 1.9:
fourteen loads of one app by one client cost so much CPU a request that their standard deviation was
24 % (of another app 11 %), and over what a fixed piece of work cost meanwhile 4 % (3 %).
"""

from __future__ import annotations

import os
import re
import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from advisor.probe.analysis.observation import BUSY
from benchmarks.pace import pace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.pace import Pace

_STEP = re.compile(r"\s*(\d+) connections: .* server ([\d.]+) cores")


@dataclass(frozen=True)
class Speed:
    """Pieces of work on every CPU."""

    paces: Sequence[Pace]

    def during(self, *spans: tuple[float, float]) -> float:
        """CPU seconds of a piece in some stretches of time, as a load on all CPUs would meet it.

        Over the mean of the rates: whoever is fast half of the time does most then. `ValueError`
        where they were too short for two pieces on each.
        """
        return 1 / statistics.fmean(each.rate(*spans) for each in self.paces)


@contextmanager
def speed() -> Iterator[Speed]:
    """Pieces of work beside what runs inside the `with`."""
    with ExitStack() as stack:
        yield Speed([stack.enter_context(pace(cpu)) for cpu in sorted(os.sched_getaffinity(0))])


@dataclass(frozen=True)
class Step:
    """So many connections that a probe loaded, the cores that the server used, and when."""

    connections: int
    cores: float
    span: tuple[float, float]


@dataclass
class Steps:
    """A probe's steps, from its progress: a line at the end of each."""

    _began: float = field(default_factory=time.monotonic)
    _seen: list[Step] = field(default_factory=list)

    def told(self, line: str) -> None:
        """A line of progress."""
        now = time.monotonic()
        if step := _STEP.match(line):
            self._seen.append(Step(int(step[1]), float(step[2]), (self._began, now)))
        self._began = now

    def spans(self, connections: int) -> list[tuple[float, float]]:
        """When the probe took its figure (monotonic seconds): its visits, else the step itself.

        Connections double until the visits begin; of those the busiest count, as in the probe.
        """
        numbers = [step.connections for step in self._seen]
        doubled = next((i for i, (a, b) in enumerate(pairwise(numbers), 1) if b <= a), len(numbers))
        same = [step for step in self._seen[doubled:] if step.connections == connections]
        same = same or [step for step in self._seen if step.connections == connections]
        busiest = max((step.cores for step in same), default=0.0)
        return [step.span for step in same if step.cores >= BUSY * busiest]
