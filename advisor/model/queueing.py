"""Exact results of queueing theory for one app on one host.

Times are in seconds, rates in requests a second. Sources: Denning and Buzen 1978 (operational
laws); Lazowska et al. 1984, *Quantitative System Performance*, chapters 5, 6 and 8 (bounds,
mean value analysis, load-dependent stations); Erlang 1917 for the delay formula.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Below this a delay is none; the smallest floats would overflow the ratios.
NO_DELAY_S = 1e-9


def closed_throughput(population: int, delay_s: float, rate: Callable[[int], float]) -> float:
    """Requests a second that `population` customers draw from one station and one delay.

    Each customer spends `delay_s` waiting beside the others, then queues at the station, which
    completes `rate(j)` requests a second while j are there (positive, not falling). This is
    the exact solution of the closed network: the birth and death process of the machine
    repairman, equal to mean value analysis with a load-dependent station and free of its
    loss of precision. It holds for any distribution of the delay and, where the station
    shares itself evenly, of the service.

    One customer, 10 ms of service, 40 ms of delay:

    >>> round(closed_throughput(1, 0.040, lambda j: 100.0), 6)
    20.0

    Many customers saturate the station:

    >>> round(closed_throughput(1000, 0.040, lambda j: 100.0), 6)
    100.0
    """
    if population <= 0:
        return 0.0
    if delay_s < NO_DELAY_S:
        return rate(population)
    weight, total, completed = 1.0, 1.0, 0.0
    for present in range(1, population + 1):
        served = rate(present)
        ratio = (population - present + 1) / (delay_s * served)
        weight *= ratio
        total += weight
        completed += weight * served
        # The weights only fall from here on: what is left cannot be seen in the sum.
        if ratio < 1 and weight * (population - present) < 1e-13 * total:
            break
        if total > 1e200:
            weight, total, completed = weight / total, 1.0, completed / total
    return completed / total


def bound(population: int, delay_s: float, service_s: float, capacity_rps: float) -> float:
    """The asymptotic upper bound of `closed_throughput`: no queue, or a busy station."""
    alone = delay_s + service_s
    return min(population / alone, capacity_rps) if alone > 0 else capacity_rps


def saturating_population(cores: float, cpu_s: float, delay_s: float) -> int:
    """Customers at which the CPU's bound meets the delay's: ceil(C (D + W) / D).

    >>> saturating_population(2, 0.010, 0.040)
    10
    """
    # The subtraction keeps 2 * 0.05 / 0.01 = 10.000000000000002 from becoming 11.
    return max(1, math.ceil(cores * (cpu_s + delay_s) / cpu_s - 1e-9))


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival has to wait in M/M/c; 1 at or above saturation.

    `offered` is arrival rate times mean service time (erlangs). Computed from Erlang B by
    its recursion, which neither overflows nor cancels.

    >>> round(erlang_c(2, 1.0), 6)
    0.333333
    """
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def wait_quantile(
    quantile: float, arrival_rps: float, servers: int, service_s: float
) -> float | None:
    """The `quantile` of the time in the queue of M/M/c, service left out; None if saturated.

    P(wait > t) = erlang_c · exp(-(c/s - λ) t).

    >>> wait_quantile(0.5, 50, 1, 0.010)
    0.0
    """
    spare = servers / service_s - arrival_rps
    if spare <= 0:
        return None
    waits = erlang_c(servers, arrival_rps * service_s)
    return max(0.0, math.log(waits / (1 - quantile)) / spare) if waits > 0 else 0.0
