"""From a measurement to what a request takes, as the model wants it. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from advisor.evidence.lockstep import lockstep
from advisor.evidence.waking import waking
from advisor.model.classes import ASGI, OFFERED, SYNC, calibrated, named
from advisor.model.service import Demand
from advisor.rules import versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Component, Measurement
    from advisor.model.classes import WorkerClass

# What a proxy on the same host adds to a response, and takes of the CPU: measured with nginx 1.22
# and Caddy 2.6 before a route that does nothing, upstream connections kept. A response took 7 to
# 16 and 36 to 44 µs longer on one connection; 9 to 21 and 35 to 39 µs of CPU on many.
# That is the kernel's work on sockets for the most part, as is a null request under sync, which
# took `NULL_SYNC_S` there: where that takes more, so does a proxy (2.2 times on another machine,
# where nginx took 40 and 83 µs with connections kept and opened anew).
NULL_SYNC_S = 0.000085
HOPS = {"nginx": (0.000012, 0.000015), "caddy": (0.00004, 0.00004)}
LISTED = {"uvicorn", "anyio", "starlette", "fastapi", "django"}
OWN_ASGI, UVICORN_PACKAGE = "can.gunicorn.asgi_stable", "uvicorn-worker"
# By so much an average of requests in service is off.
FULL_BLUR = 0.02
# Servers sold today differ by about this in what one core does in a second.
ELSEWHERE = 1.6


def classes_of(
    measurement: Measurement | None,
    server: str,
    interface: str,
    components: Mapping[str, Component],
) -> tuple[WorkerClass, ...]:
    """The worker classes on offer, with what they cost on this host where that was measured.

    Gunicorn's own asgi class where the target's Gunicorn has it and no longer calls it beta, and it
    alone where the package of the other one is not there.
    """
    offered = OFFERED.get((server, interface), ())
    if (server, interface) == ("gunicorn", "asgi") and versions.can(components).get(OWN_ASGI):
        # The package counts as missing only where the app's environment was listed at all.
        missing = UVICORN_PACKAGE not in components and bool(LISTED & set(components))
        offered = (ASGI,) if missing else (*offered, ASGI)
    costs = {
        each.name: (cost.cpu_s, cost.held_s)
        for name, cost in (measurement.class_costs if measurement else {}).items()
        if (each := named(name, interface))
    }
    return calibrated(offered, costs)


def demand_of(
    measurement: Measurement | None,
    interface: str,
    *,
    offered: tuple[WorkerClass, ...] = (),
    elsewhere: bool = False,
) -> Demand | None:
    """Service demand of a request, in seconds; None where CPU or waiting were not measured.

    A measured wait contains the time that the event loop was blocked. That counts as blocking
    only where the verdict says so: below that it is noise of the sampling. `offered` are the
    classes as they cost on this host; measured `elsewhere`, a request's CPU is anybody's guess
    within a factor.
    """
    if measurement is None or measurement.cpu_per_request_s is None:
        return None
    cpu = measurement.cpu_per_request_s
    wait = _wait(measurement)
    if cpu.value <= 0 or cpu.n < 2 or wait is None:
        return None
    verdict = measurement.limiter.verdict
    blocked = 0.0
    if verdict == "event-loop-blocked":
        seen = measurement.blocked_per_request_s
        blocked = seen.value if seen else wait
    knee = measurement.throughput.knee_rps
    measured_as = named(measurement.target.worker_class or measurement.target.server, interface)
    measured_as = next(
        (each for each in offered if measured_as and each.name == measured_as.name), measured_as
    )
    far = ELSEWHERE if elsewhere else 1.0
    together = lockstep(measurement, measured_as, wait)
    woken = waking(measurement, measured_as, wait, together)
    told = measurement.limiter.evidence
    own_limit = told.get("tokens") or told.get("in_service_per_worker")
    return Demand(
        cpu_s=cpu.value - woken.paid_s,
        cpu_low_s=max(cpu.low - woken.most_s, cpu.value / 4) / far,
        cpu_high_s=max(cpu.high, cpu.value) * far,
        wait_s=max(0.0, wait - blocked),
        blocked_s=blocked,
        measured_as=measured_as,
        ceiling_rps=knee.value if knee and verdict == "downstream" and knee.value > 0 else None,
        wake_s=woken.wake_s,
        nap_s=woken.nap_s,
        lockstep=together,
        slots=_slots(own_limit) if isinstance(own_limit, int | float) else None,
        in_threads="tokens" in told,
    )


def _slots(in_service: float) -> int:
    """The limit of which so many requests were in service on average: what is full is never quite.

    >>> _slots(4.46), _slots(5.05)
    (5, 5)
    """
    return max(1, math.ceil(in_service * (1 - FULL_BLUR)))


def behind(demand: Demand, proxy: str, measurement: Measurement, *, own_budget: bool) -> Demand:
    """The demand once `proxy` stands in front; as it is where that was measured already.

    The proxy's CPU comes from the same cores, unless the app has a budget of its own.
    """
    if proxy not in HOPS or measurement.target.through:
        return demand
    null = measurement.class_costs.get(SYNC.name)
    slower = null.cpu_s / NULL_SYNC_S if null else 1.0
    hop_s, cpu_s = (slower * seconds for seconds in HOPS[proxy])
    return replace(demand, hop_s=hop_s, proxy_s=0.0 if own_budget else cpu_s)


def _wait(measurement: Measurement) -> float | None:
    """Seconds off the CPU; from the median response where it was not measured itself."""
    if measurement.wait_per_request_s is not None:
        return measurement.wait_per_request_s.value
    p50, cpu = measurement.latency_s.get("p50"), measurement.cpu_per_request_s
    return max(0.0, p50.value - cpu.value) if p50 and cpu else None
