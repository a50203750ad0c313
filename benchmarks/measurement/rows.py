"""What one run showed: the probe's figures beside the reference."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.documents import Measurement
    from benchmarks.measurement.cases import Case
    from benchmarks.measurement.reference import Half


@dataclass(frozen=True)
class Row:
    """What the probe said of a case, and both halves of the reference.

    `pieces` are what a fixed piece of work took meanwhile (benchmarks/pace.py): the probe's first.
    """

    case: Case
    seen: Measurement
    halves: tuple[Half, Half]
    pieces: tuple[float, float, float]

    @property
    def references(self) -> tuple[float, ...]:
        """Both halves in CPU seconds a request, as if the machine had been as fast as probed."""
        probed, *pieces = self.pieces
        return tuple(
            half.cpu_s * probed / piece for half, piece in zip(self.halves, pieces, strict=True)
        )

    @property
    def reference_s(self) -> float:
        """The mean of both halves."""
        return statistics.fmean(self.references)

    @property
    def unsteady(self) -> float:
        """How far the halves of the reference lie from their mean, relative."""
        return abs(self.references[0] - self.reference_s) / self.reference_s

    @property
    def cpu_ratio(self) -> float:
        """The probe's CPU per request over the reference."""
        demand = self.seen.cpu_per_request_s
        return demand.value / self.reference_s if demand else float("nan")

    @property
    def unlevelled_ratio(self) -> float:
        """The same over what both halves were by themselves."""
        return self.cpu_ratio * self.reference_s / statistics.fmean(h.cpu_s for h in self.halves)

    @property
    def held(self) -> bool:
        """Whether the interval holds the reference."""
        demand = self.seen.cpu_per_request_s
        return bool(demand and demand.low <= self.reference_s <= demand.high)

    @property
    def wait_error_s(self) -> float | None:
        """How far the waiting time is off, where it is known."""
        wait = self.seen.wait_per_request_s
        if self.case.wait_s is None or wait is None:
            return None
        return wait.value - self.case.wait_s

    def problems(self) -> list[str]:
        """What misses its limit."""
        error = self.wait_error_s
        allowed = max(0.002, 0.1 * (self.case.wait_s or 0))
        found = {
            "verdict": self.seen.limiter.verdict not in self.case.verdicts,
            "cpu": not 0.9 <= self.cpu_ratio <= 1.1,
            "wait": error is not None and abs(error) > allowed,
        }
        return [name for name, missed in found.items() if missed]

    @property
    def width(self) -> float:
        """Half of the interval, relative."""
        demand = self.seen.cpu_per_request_s
        return (demand.high - demand.low) / 2 / demand.value if demand and demand.value else 1.0

    def text(self) -> str:
        """The run as a line of the table."""
        error = "-" if self.wait_error_s is None else f"{self.wait_error_s * 1e3:+.2f} ms"
        missed = ", ".join(self.problems())
        why = f" ({self.seen.limiter.why})" if "verdict" in missed else ""
        return (
            f"  {self.case.name:<26} {self.seen.limiter.verdict:<19} "
            f"{self.reference_s * 1e6:>7.0f} µs {self.unsteady:>5.0%} "
            f"{self.cpu_ratio:>6.2f} {self.unlevelled_ratio:>6.2f} {self.width:>6.1%} "
            f"{'yes' if self.held else 'no':>4} {error:>10} "
            f"{connections_of(self.seen):>5} {self.seen.cost.requests:>8,} "
            f"{self.seen.cost.server_cpu_s or 0:>5.1f} s  {missed and 'MISSED: ' + missed}{why}"
        )


def connections_of(seen: Measurement) -> int:
    """The connections of the probe's own figure."""
    return seen.throughput.knee_connections or seen.throughput.steps[-1].connections
