"""When a probe loaded how many connections, read from its progress."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from advisor.probe.analysis.observation import BUSY, LIMITED
from benchmarks.measurement.rows import connections_of

if TYPE_CHECKING:
    from advisor.documents import Measurement

_STEP = re.compile(r"\s*(\d+) connections: .* server ([\d.]+) cores")
_UNDER_WAY = "..."


@dataclass(frozen=True)
class Step:
    """So many connections that a probe loaded, the cores that the server used, and when."""

    connections: int
    cores: float
    span: tuple[float, float]


@dataclass
class Steps:
    """A probe's steps, from its progress: a line at the end of each."""

    _started: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)
    _seen: list[Step] = field(default_factory=list)

    def told(self, line: str) -> None:
        """A line of progress."""
        if line.lstrip().startswith(_UNDER_WAY):
            return
        now = time.monotonic()
        if step := _STEP.match(line):
            self._seen.append(Step(int(step[1]), float(step[2]), (self._began, now)))
        self._began = now

    def spans_of(self, seen: Measurement) -> list[tuple[float, float]]:
        """When the probe that gave this measurement took its figure; as `spans`."""
        most_cores = min(len(os.sched_getaffinity(0)), len(seen.workers))
        return self.spans(connections_of(seen), most_cores)

    def spans(self, connections: int, most_cores: float) -> list[tuple[float, float]]:
        """When the probe took its figure (monotonic seconds): its visits, else the step itself.

        Connections double until the visits begin; of those the busiest count, as in the probe, or
        all where the busiest left much of the `most_cores` that the workers could use. The whole
        probe, where others' traffic let it send bursts alone.
        """
        numbers = [step.connections for step in self._seen]
        doubled = next((i for i, (a, b) in enumerate(pairwise(numbers), 1) if b <= a), len(numbers))
        same = [step for step in self._seen[doubled:] if step.connections == connections]
        same = same or [step for step in self._seen if step.connections == connections]
        if not same:
            return [(self._started, self._began)]
        busiest = max(step.cores for step in same)
        least = BUSY * busiest if busiest >= LIMITED * most_cores else 0.0
        return [step.span for step in same if step.cores >= least]
