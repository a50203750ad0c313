"""What a configuration may use, and which limit one breaks. Bytes, seconds, CPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.errors import NothingFeasible

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.model.memory import MemoryCost
    from advisor.model.service import Configuration

# A reload that computes for longer than this starves the requests beside it.
BOOT_LIMIT_S = 15.0
# A worker's own files: sockets, logs, the event loop, what the app keeps open.
OWN_DESCRIPTORS = 64

Limiting = Literal["memory", "boot_cpu", "database", "descriptors", "queue"]


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a configuration may use. `memory_source` names the budget in messages.

    `database` is how many connections to the database this host's app may hold at any time, `pool`
    how many each event loop opens as its code is now,
    `descriptors` how many files one worker may open, `queue` how many connections may wait for
    a worker; None is no limit.
    """

    cores: float
    memory_bytes: int
    memory_source: str
    boot_cpu_s: float
    concurrency: int
    rate_rps: float | None = None
    p99_s: float | None = None
    database: int | None = None
    descriptors: int | None = None
    queue: int | None = None
    pool: int = 1


@dataclass(frozen=True, slots=True)
class Pins:
    """Parts of the configuration that the user fixed; None is free."""

    worker_class: str | None = None
    workers: int | None = None
    threads: int | None = None


def connections(config: Configuration, pool: int = 1) -> int:
    """Database connections: one for each thread that serves, a `pool` for each event loop.

    While a reload's new workers stand beside the old, both hold theirs.
    """
    each = {"one": 1, "threads": config.threads}.get(config.worker_class.kind, pool)
    return 2 * config.workers * each


def descriptors(config: Configuration, concurrency: int) -> int:
    """Files one worker may have open: a client's and one of the app's own for each request."""
    held = {"one": 1, "threads": config.threads}.get(config.worker_class.kind, concurrency)
    return OWN_DESCRIPTORS + 2 * held


def queued(config: Configuration, concurrency: int) -> int:
    """Connections that wait for a worker when all requests in flight arrive at once.

    A worker that serves one request at a time accepts no other; threads and loops accept all.
    """
    return concurrency - config.workers if config.worker_class.kind == "one" else 0


def boots(config: Configuration, limits: Constraints) -> bool:
    """Whether a reload computes for at most 15 s; one worker has to boot whatever it takes."""
    cores = min(limits.cores, config.workers)
    return config.workers == 1 or config.workers * limits.boot_cpu_s / cores <= BOOT_LIMIT_S


def _within(need: int, most: int | None) -> bool:
    return most is None or need <= most


KEPT: dict[Limiting, Callable[[Configuration, MemoryCost, Constraints], bool]] = {
    "memory": lambda config, cost, limits: cost.needed(config) <= limits.memory_bytes,
    "database": lambda config, _, limits: _within(
        connections(config, limits.pool), limits.database
    ),
    "descriptors": lambda config, _, limits: _within(
        descriptors(config, limits.concurrency), limits.descriptors
    ),
    "boot_cpu": lambda config, _, limits: boots(config, limits),
    "queue": lambda config, _, limits: _within(queued(config, limits.concurrency), limits.queue),
}


def broken(
    config: Configuration, cost: MemoryCost, limits: Constraints, pins: Pins
) -> Limiting | None:
    """The first limit that the configuration breaks; None where it fits.

    Pinned workers boot as long as they must, and queue what they must.
    """
    waived = {"boot_cpu", "queue"} if pins.workers is not None else set()
    return next(
        (
            name
            for name, keeps in KEPT.items()
            if name not in waived and not keeps(config, cost, limits)
        ),
        None,
    )


def nothing(
    config: Configuration, cost: MemoryCost, limits: Constraints, pins: Pins
) -> NothingFeasible:
    """The error for `config`, the smallest there is, with the arithmetic of what it breaks."""
    if broken(config, cost, limits, pins) == "database":
        return _too_few_connections(config, limits, pins)
    mb = 1024**2
    per_worker = cost.worker_bytes + (config.threads - 1) * cost.thread_bytes
    origin = "as measured" if cost.measured else "assumed, nothing was measured"
    return NothingFeasible(
        f"{_who(config, pins)} does not fit: master {cost.base_bytes / mb:.0f} MB + 2 x "
        f"{config.workers} x "
        f"{per_worker / mb:.0f} MB ({origin}; twice, because a reload starts the new workers "
        f"before it stops the old), x {cost.high_ratio:g} for safety = "
        f"{cost.needed(config) / mb:.0f} MB; the budget is {limits.memory_bytes / mb:.0f} MB "
        f"({limits.memory_source}).",
        remedy="Give more memory (--memory, budget.memory), pin fewer workers, or measure the "
        "app: advisor recommend URL.",
    )


def _too_few_connections(config: Configuration, limits: Constraints, pins: Pins) -> NothingFeasible:
    needed = connections(config, limits.pool)
    each = needed // 2 // config.workers
    return NothingFeasible(
        f"{_who(config, pins)} needs 2 x {config.workers} x {each} database connections (twice, "
        "because a reload starts the new workers before it stops the old) = "
        f"{needed}; database.max_connections less database.reserved leaves this host "
        f"{limits.database}.",
        remedy="Raise database.max_connections, lower database.reserved, pin fewer workers or "
        "threads, or put a pooler such as PgBouncer before the database.",
    )


def _who(config: Configuration, pins: Pins) -> str:
    return f"gunicorn.workers pinned to {config.workers}" if pins.workers else "even one worker"
