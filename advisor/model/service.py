"""What a request takes of a worker, and how a configuration of workers serves it: the demand.

A request takes CPU, waits beside the CPU, and may block an event loop. A worker's Python code
runs under one GIL, so on one core at a time; all workers share `cores`.

- sync: one request in a worker, which closes the connection after each response.
- gthread: `threads` requests in a worker; a blocked thread waits like any other.
- event loops: any number of requests in a worker, but computing and blocking take turns in
  the loop's one thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from advisor.model.classes import CALIBRATED_THREADS

if TYPE_CHECKING:
    from advisor.model.classes import WorkerClass

# How much more CPU a request takes as more processes than cores take turns, at most: in a quota of
# half a core 8 workers served 10 % less than one, 5 workers of a waiting app 10 % less than 2.
CROWDED = 0.08
# What each more busy thread adds to a request by handing the interpreter's lock over: one worker
# served 3,690 requests/s of a Flask route with 4 threads, 3,519 with 8, 3,218 with 16, 2,745 with
# 32 (3 µs each); of one that waits, 1,132 with 32 and 1,026 with 64 (1 to 2 µs).
THREAD_SWITCH_S = 0.000002
# What a proxy takes for a request over a connection that it opens for it, over one that it keeps:
# nginx 50 to 59 µs and 9 to 21.
OPENED_ANEW = 3.7
# By how much of a prediction nine in ten of what was seen fell short of it and went beyond it, at
# most (benchmarks/prediction, 56 configurations).
SHORT, BEYOND = 0.2, 0.15


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request takes, in seconds, as measured under `measured_as`.

    `cpu_low_s` and `cpu_high_s` bound the CPU; `wait_s` passes off the CPU without holding an
    event loop, `blocked_s` off the CPU while holding it. `ceiling_rps` is what the app reached
    where something downstream stopped it, `slots` how many requests one worker's event loop
    takes on at once where a limit in the app's code (a thread limiter, a pool) stops it, and
    `in_threads` whether that is the threads that its `def` routes run on.
    `wake_s` is what more CPU one takes after a core's long rest, `nap_s` after any (waking.py).
    `lockstep` is how far waiting requests stay together under a closed load (lockstep.py).
    `hop_s` is what a proxy in front adds to a response, `proxy_s` the CPU it takes from the same
    cores.
    """

    cpu_s: float
    cpu_low_s: float
    cpu_high_s: float
    wait_s: float
    blocked_s: float = 0.0
    measured_as: WorkerClass | None = None
    ceiling_rps: float | None = None
    slots: int | None = None
    in_threads: bool = False
    wake_s: float = 0.0
    nap_s: float = 0.0
    lockstep: float = 0.0
    hop_s: float = 0.0
    proxy_s: float = 0.0

    def under(self, worker_class: WorkerClass) -> Demand:
        """The same request under another class, priced by the table of class costs.

        At least a fifth of what was measured remains: the app's own code does not vanish.
        """
        extra = worker_class.cost_s - self.measured_as.cost_s if self.measured_as else 0.0
        low, mid, high = (
            max(cpu + extra, cpu / 5) for cpu in (self.cpu_low_s, self.cpu_s, self.cpu_high_s)
        )
        return replace(
            self,
            cpu_s=mid,
            cpu_low_s=low,
            cpu_high_s=high,
            measured_as=worker_class,
        )

    def at(self, part: str, seconds: float) -> Demand:
        """The same request with its `cpu`, `wait` or `blocked` at so many seconds."""
        if part == "wait":
            return replace(self, wait_s=seconds)
        if part == "blocked":
            return replace(self, blocked_s=seconds)
        low, high = (each * seconds / self.cpu_s for each in (self.cpu_low_s, self.cpu_high_s))
        return replace(self, cpu_s=seconds, cpu_low_s=low, cpu_high_s=high)

    def dearer(self, extra_s: float) -> Demand:
        """The same request with so much more CPU, in which it has paid for waking up."""
        low, mid, high = (cpu + extra_s for cpu in (self.cpu_low_s, self.cpu_s, self.cpu_high_s))
        return replace(self, cpu_s=mid, cpu_low_s=low, cpu_high_s=high, wake_s=0, nap_s=0)

    def mended(self) -> Demand:
        """The same request once its blocking calls are awaited and its own limit is raised."""
        return replace(self, wait_s=self.wait_s + self.blocked_s, blocked_s=0.0, slots=None)

    @property
    def total_s(self) -> float:
        """Seconds one request takes when it is alone."""
        return self.cpu_s + self.wait_s + self.blocked_s + self.hop_s


@dataclass(frozen=True, slots=True)
class Configuration:
    """A worker class, how many workers, and threads in each."""

    worker_class: WorkerClass
    workers: int
    threads: int = 1

    def slots(self, demand: Demand, concurrency: int) -> int:
        """Requests of `demand` that one worker can hold, of `concurrency` in flight."""
        most = demand.slots if self.worker_class.kind == "loop" else self.threads
        return min(most or concurrency, concurrency)


@dataclass(frozen=True, slots=True)
class Bracket:
    """A value between the bounds `low` and `high`."""

    value: float
    low: float
    high: float

    def missed(self) -> Bracket:
        """The same, as wide as the model's own error at least: what is printed.

        The bounds above are of what was measured and of luck; the rest (timers, wake-ups, a
        proxy's work) makes apps slower than predicted rather more often than faster.
        """
        low, high = self.value * (1 - SHORT), self.value * (1 + BEYOND)
        return replace(self, low=min(self.low, low), high=max(self.high, high))


def station(
    config: Configuration, demand: Demand, cores: float, concurrency: int
) -> tuple[float, float, float]:
    """Delay (s), time a worker is held by a request (s), and requests/s that the CPU allows."""
    crowd = 1 + CROWDED * (1 - min(1.0, max(1.0, cores) / config.workers))
    anew = OPENED_ANEW if config.worker_class.kind == "one" else 1.0
    most = cores / (demand.cpu_s * crowd + demand.proxy_s * anew)
    if config.worker_class.kind == "loop":
        return demand.wait_s, demand.cpu_s + demand.blocked_s, most
    held = demand.cpu_s + config.worker_class.handover_s
    if config.worker_class.kind == "threads":
        active = min(config.threads, math.ceil(concurrency / config.workers))
        held += THREAD_SWITCH_S * max(0, active - CALIBRATED_THREADS)
    return demand.wait_s + demand.blocked_s, held, most
