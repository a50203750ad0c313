"""A configuration at one load, predicted and seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.documents import Outlook, Prediction
    from benchmarks.regret.points import Config


@dataclass(frozen=True)
class Row:
    """One configuration at one load: what was predicted and what was seen.

    `slower` is what a piece of work took then over what it took during the probe; `unpaced` is
    what was predicted as if that were 1.
    """

    case: str
    config: Config
    connections: int
    predicted: Outlook
    unpaced: Outlook
    slower: float
    rps: float
    pss: int
    modest: bool

    @property
    def throughput(self) -> float:
        """Predicted over measured."""
        return value(self.predicted.throughput_rps) / self.rps

    @property
    def response(self) -> float:
        """Predicted mean response over the measured one, N / X."""
        return value(self.predicted.latency_p50_s) / (self.connections / self.rps)

    @property
    def memory(self) -> float:
        """Predicted PSS over the measured one."""
        return value(self.predicted.memory_bytes) / self.pss

    @property
    def held(self) -> list[bool]:
        """Whether each printed interval holds what was seen."""
        pairs = (
            (self.predicted.throughput_rps, self.rps),
            (self.predicted.latency_p50_s, self.connections / self.rps),
            (self.predicted.memory_bytes, self.pss),
        )
        return [each.low <= seen <= each.high for each, seen in pairs if each is not None]

    def text(self) -> str:
        """The row as a line of the table."""
        flags = "".join("." if each else "X" for each in self.held)
        return (
            f"  {self.case:<24} {self.config!s:<18} {self.connections:>3} "
            f"{self.rps:>8,.0f}/s {self.slower:>6.2f} {self.throughput:>6.2f} "
            f"{self.response:>6.2f} {self.memory:>6.2f}  {flags}{'  modest' if self.modest else ''}"
        )


def value(prediction: Prediction | None) -> float:
    return prediction.value if prediction else float("nan")
