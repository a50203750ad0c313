"""What a configuration may use, and whether one fits. Bytes, seconds, CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.errors import NothingFeasible

if TYPE_CHECKING:
    from advisor.model.capacity import Configuration
    from advisor.model.memory import MemoryCost

# A reload that computes for longer than this starves the requests beside it.
BOOT_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a configuration may use. `memory_source` names the budget in messages."""

    cores: float
    memory_bytes: int
    memory_source: str
    boot_cpu_s: float
    concurrency: int
    rate_rps: float | None = None
    p99_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pins:
    """Parts of the configuration that the user fixed; None is free."""

    worker_class: str | None = None
    workers: int | None = None
    threads: int | None = None


def fits(config: Configuration, cost: MemoryCost, limits: Constraints, pins: Pins) -> bool:
    """Whether memory holds it and a reload boots in time; pinned workers boot as they must."""
    return cost.needed(config) <= limits.memory_bytes and (
        pins.workers is not None or boots(config, limits)
    )


def boots(config: Configuration, limits: Constraints) -> bool:
    """Whether a reload computes for at most 15 s; one worker has to boot whatever it takes."""
    cores = min(limits.cores, config.workers)
    return config.workers == 1 or config.workers * limits.boot_cpu_s / cores <= BOOT_LIMIT_S


def nothing(
    config: Configuration, cost: MemoryCost, limits: Constraints, pins: Pins
) -> NothingFeasible:
    """The error for `config`, which memory does not hold, with the arithmetic."""
    mb = 1024**2
    per_worker = cost.worker_bytes + (config.threads - 1) * cost.thread_bytes
    who = f"gunicorn.workers pinned to {config.workers}" if pins.workers else "even one worker"
    origin = "as measured" if cost.measured else "assumed, nothing was measured"
    return NothingFeasible(
        f"{who} does not fit: master {cost.base_bytes / mb:.0f} MB + 2 x {config.workers} x "
        f"{per_worker / mb:.0f} MB ({origin}; twice, because a reload starts the new workers "
        f"before it stops the old), x {cost.high_ratio:g} for safety = "
        f"{cost.needed(config) / mb:.0f} MB; the budget is {limits.memory_bytes / mb:.0f} MB "
        f"({limits.memory_source}).",
        remedy="Give more memory (--memory, budget.memory), pin fewer workers, or measure the "
        "app: advisor recommend URL.",
    )
