"""How long requests take at a rate of arrivals: quantiles of an open load. Seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.model.queueing import wait_quantile
from advisor.model.service import Bracket, station
from advisor.model.waking import coldness

if TYPE_CHECKING:
    from advisor.model.service import Configuration, Demand

# Above this utilisation a tail is not predicted: Allen-Cunneen's error doubles there.
TAIL_UTILISATION = 0.9


def response_at_rate(
    quantile: float, config: Configuration, demand: Demand, cores: float, rate_rps: float
) -> Bracket | None:
    """The `quantile` of response time (s) under Poisson arrivals at `rate_rps`.

    Low is a single queue in front of all workers (M/M/c), high a random split over them, each
    with a queue of its own. None above 90 % utilisation, where tails are not predicted. What comes
    seldom pays for waking up.
    """
    demand = demand.under(config.worker_class)
    awake = min(cores, config.workers)
    rest = max(0.0, awake / rate_rps - demand.cpu_s)
    idle = max(0.0, 1 - rate_rps * demand.cpu_s / awake)
    demand = demand.dearer(demand.wake_s * coldness(rest) + demand.nap_s * idle)
    together = _response(quantile, config, demand, cores, rate_rps)
    share = replace(config, workers=1)
    apart = _response(quantile, share, demand, cores / config.workers, rate_rps / config.workers)
    if config.worker_class.kind == "one":
        apart = together
    if together is None or apart is None:
        return None
    high = max(together, apart)
    return Bracket((together + high) / 2, together, high)


def _response(
    quantile: float, config: Configuration, demand: Demand, cores: float, rate_rps: float
) -> float | None:
    _, held, most = station(config, demand, cores, config.workers)
    capacity = min(config.workers / held, most)
    servers = max(1, int(capacity * held + 1e-9))
    stations = [(servers, servers / capacity)]
    if config.worker_class.kind != "loop":
        stations.append((config.workers * config.threads, demand.total_s))
    queued = 0.0
    for count, service_s in stations:
        if rate_rps * service_s > TAIL_UTILISATION * count:
            return None
        queued += wait_quantile(quantile, rate_rps, count, service_s) or 0.0
    return demand.total_s + queued
