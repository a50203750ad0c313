"""What a configuration takes in memory, in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.model.service import Bracket

if TYPE_CHECKING:
    from advisor.model.service import Configuration


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """Base, what one more worker adds, and what one more thread adds.

    `low_ratio` and `high_ratio` bound the uncertainty; the high one is planned with, because
    memory that runs out kills, and memory left over does not. `measured` is whether the worker's
    figure is the app's own.
    """

    base_bytes: int
    worker_bytes: int
    thread_bytes: int
    low_ratio: float
    high_ratio: float
    measured: bool

    def steady(self, config: Configuration) -> Bracket:
        """Bytes used between reloads."""
        value = self.base_bytes + self._workers(config)
        return Bracket(value, value * self.low_ratio, value * self.high_ratio)

    def needed(self, config: Configuration) -> int:
        """Bytes to plan with: the steady use and the surge of a reload, at the high end.

        On HUP Gunicorn starts every new worker before it stops the old ones, so as many workers
        again stand beside them for a moment.
        """
        return int((self.base_bytes + 2 * self._workers(config)) * self.high_ratio)

    def _workers(self, config: Configuration) -> int:
        return config.workers * (self.worker_bytes + (config.threads - 1) * self.thread_bytes)
