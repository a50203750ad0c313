"""What waking up takes of an app's requests: by its own lightest load, or by a null app's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.model.waking import asleep, bunched, coldness, hopping_s, rest_s

if TYPE_CHECKING:
    from advisor.documents import Measurement
    from advisor.model.classes import WorkerClass

# Where a host was not measured, and at most: FACTS has 790 µs at 20/s, 458 at 200/s and 224 back to
# back; a Django page of 880 µs on resting cores took 750 to 930 on busy ones.
LIKELY_WAKE_S, MOST_WAKE_S = 0.0002, 0.00057
# An app has more code and data to fetch than a null app: of four, waking up took 1.0 to 1.8 times
# as much. One that waits is woken twice: for seven that told it by themselves (0.7 to 1.4 ms, where
# a null app took 0.32 to 0.49) it comes to 1.8 to 2.9 null apps' in all.
COLDER = 1.4
TWICE, WAITS_S = 1.5, 0.001
# Two loads under which the cores rest much the same do not tell what rest costs.
APART = 0.4
# A lone request that rests so little tells what any sleep costs: not more than two switches of
# threads and an interrupt.
RESTLESS, MOST_NAP_S = 0.2, 0.0001


@dataclass(frozen=True)
class Waking:
    """What a request pays at most after a long rest (`wake_s`), and after any (`nap_s`).

    `paid_s` is what it paid as its CPU was measured, `most_s` what it paid then at most.
    """

    wake_s: float
    nap_s: float
    paid_s: float
    most_s: float


def waking(
    measurement: Measurement, measured_as: WorkerClass | None, wait_s: float, together: float
) -> Waking:
    """Of the worker class it was measured under; nothing where it is not known how cores rested."""
    seen, cpu = measurement.limiter.evidence, measurement.cpu_per_request_s
    used, left = seen.get("server_cpu_cores"), seen.get("cpu_left_cores")
    workers = measurement.target.workers
    if not (isinstance(used, int | float) and isinstance(left, int | float) and workers and cpu):
        return Waking(0.0, 0.0, 0.0, 0.0)
    cores = min(left, workers)
    knee = measurement.throughput.knee_rps
    served = knee.value * (cpu.value + wait_s) / workers if knee else 1.0
    cold = bunched(rest_s(cores, used, cpu.value), served, together)
    wake = _told(measurement, cold)
    if wake is None:
        null = _null(measurement, measured_as)
        wakes = TWICE if wait_s > WAITS_S else 1.0
        wake = LIKELY_WAKE_S if null is None else COLDER * null * wakes
    each = seen.get("connections")
    met = asleep(used / cores, each / workers) if isinstance(each, int | float) else 1.0
    nap = _nap(measurement, met)
    paid = wake * cold + nap * met
    if measured_as and measured_as.kind == "threads":
        paid = max(paid, hopping_s(wake, wait_s, workers=workers, cores=left))
    paid = min(paid, cpu.value / 2)
    return Waking(wake, nap, paid, max(1.5 * paid, MOST_WAKE_S * cold))


def _nap(measurement: Measurement, met: float) -> float:
    """By what a lone request took more that hardly rested; `met` is how many slept later."""
    lone = _lone(measurement)
    if lone is None or lone.cold >= RESTLESS or met > 1 - APART:
        return 0.0
    return min(MOST_NAP_S, lone.more_s / (1 - met))


def _told(measurement: Measurement, cold: float) -> float | None:
    """By what a lone request took more, where its core rested then and the cores did not later."""
    lone = _lone(measurement)
    return lone.more_s / (lone.cold - cold) if lone and lone.cold - cold >= APART else None


@dataclass(frozen=True)
class _Lone:
    """What one connection's requests took more than many's, and how cold their core was."""

    more_s: float
    cold: float


def _lone(measurement: Measurement) -> _Lone | None:
    """The probe's first step; one connection is one worker's, on one core."""
    cpu, step = measurement.cpu_per_request_s, next(iter(measurement.throughput.steps), None)
    if not (cpu and step and step.cpu_per_request_s and step.server_cpu_cores):
        return None
    if step.connections != 1:
        return None
    rested = rest_s(1.0, step.server_cpu_cores, step.cpu_per_request_s)
    return _Lone(max(0.0, step.cpu_per_request_s - cpu.value), coldness(rested))


def _null(measurement: Measurement, measured_as: WorkerClass | None) -> float | None:
    costs = measurement.class_costs
    own = costs.get(measured_as.name) if measured_as else None
    found = [own] if own else list(costs.values())
    return next((each.wake_s for each in found if each.wake_s is not None), None)
