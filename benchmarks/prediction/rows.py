"""A configuration at one load, predicted and seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.regret.points import Config

if TYPE_CHECKING:
    from advisor.documents import Outlook, Prediction


@dataclass(frozen=True)
class Load:
    """What was seen of a configuration at one load: requests/s, bytes.

    `slower` is what a piece of work took then over what it took during the probe; a `modest` one
    leaves some of the core.
    """

    config: Config
    connections: int
    modest: bool
    slower: float
    rps: float
    pss: int

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Load:
        """From JSON."""
        return cls(**{**data, "config": Config(**data["config"])})


@dataclass(frozen=True)
class Row:
    """A load, and what was predicted for it; `unpaced` as if the core were always as fast."""

    case: str
    load: Load
    predicted: Outlook
    unpaced: Outlook

    @property
    def throughput(self) -> float:
        """Predicted over measured."""
        return value(self.predicted.throughput_rps) / self.load.rps

    @property
    def response_s(self) -> float:
        """Mean response that was seen, N / X."""
        return self.load.connections / self.load.rps

    @property
    def response(self) -> float:
        """Predicted mean response over the measured one, N / X."""
        return value(self.predicted.latency_p50_s) / self.response_s

    @property
    def memory(self) -> float:
        """Predicted PSS over the measured one."""
        return value(self.predicted.memory_bytes) / self.load.pss

    @property
    def held(self) -> list[bool]:
        """Whether each printed interval holds what was seen."""
        pairs = (
            (self.predicted.throughput_rps, self.load.rps),
            (self.predicted.latency_p50_s, self.response_s),
            (self.predicted.memory_bytes, self.load.pss),
        )
        return [each.low <= seen <= each.high for each, seen in pairs if each is not None]

    def text(self) -> str:
        """The row as a line of the table."""
        load, flags = self.load, "".join("." if each else "X" for each in self.held)
        return (
            f"  {self.case:<24} {load.config!s:<18} {load.connections:>3} "
            f"{load.rps:>8,.0f}/s {load.slower:>6.2f} {self.throughput:>6.2f} "
            f"{self.response:>6.2f} {self.memory:>6.2f}  {flags}{'  modest' if load.modest else ''}"
        )


def value(prediction: Prediction | None) -> float:
    return prediction.value if prediction else float("nan")
