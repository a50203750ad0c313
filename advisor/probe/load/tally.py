"""What came back, and how much may be asked for."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caps:
    """Where the engine stops by itself, whatever it is told: it never becomes an attack."""

    connections: int = 1024
    requests_per_s: float = 50_000.0
    answer_bytes: int = 64 * 1024**2
    total_bytes: int = 4 * 1024**3
    request_s: float = 10.0


@dataclass
class Tally:
    """What an engine has seen since it was made.

    `latencies` are seconds of good answers, `routes` the index of the route of each.
    `bytes_in` and `bytes_out` are of all answers and requests, headers included.
    """

    latencies: array[float] = field(default_factory=lambda: array("d"))
    routes: array[int] = field(default_factory=lambda: array("H"))
    errors: int = 0
    errors_by_route: Counter[int] = field(default_factory=Counter)
    sent: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    last_error: str | None = None

    def answered(self, route: int, seconds: float) -> None:
        """Count a good answer."""
        self.latencies.append(seconds)
        self.routes.append(route)

    def failed(self, reason: str, route: int = 0) -> None:
        """Count a request that got no good answer."""
        self.errors += 1
        self.errors_by_route[route] += 1
        self.last_error = reason
