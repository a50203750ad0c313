"""What a request costs more that comes to cores that rested: caches cool, and are filled again.

A busy core never cools. Measured on one (sync, gthread, UvicornWorker; null, Flask and FastAPI
apps; 20 to 3,000 requests/s that came one by one): what a request took more than on a busy core
grew with the time that the core had rested, half of it by 4 ms. A null app under sync took 183 µs
busy, 248 at 1,600/s, 299 at 800/s, 461 at 400/s, 530 at 200/s, 680 at 100/s and 867 at 20/s.

A worker that sleeps between two requests, however shortly, is woken too: one connection that asks
again at once took 48 and 56 µs more of Flask and FastAPI routes that compute than 16 and 8 did.

Threads that wait stay cold on two cores, however busy: 4 x 16 to 4 x 64 of them used 1.1 ms a
request of 0.94 of the CPU, proxy and load included, where the same page took 0.7 to 0.85 on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.model.service import Configuration, Demand

# A core that rested for so long is half as cold as it gets.
COOLS_S = 0.004
ROUNDS = 8
# How much of what a rest costs others' work costs: a request of 20 ms of waiting took 0.9 ms of two
# busy event loops and 1.15 of thirty, which have their turns as seldom as resting ones.
TURNED_COLD = 0.5
# At most of so much: the rest of a longer wake-up is the core's own, which never slept here. 8, 24
# and 58 loops took 35, 178 and 280 µs more than two of requests that wait, 48, 148 and 230 of such
# as compute, where waking up took 0.8 ms; four workers' threads took no more than three's, where it
# took 2.
CACHES_S = 0.0007


def coldness(rest_s: float) -> float:
    """From 0 to 1: how much of its `wake_s` a request pays after so long a rest.

    >>> coldness(0.0), coldness(0.004), coldness(0.036)
    (0.0, 0.5, 0.9)
    """
    return 1 - COOLS_S / (rest_s + COOLS_S)


def bunched(rest_s: float, each: float, together: float) -> float:
    """The same of `each` requests that a worker has in service, `together` from 0 to 1.

    Those that wait alike return one right behind the other: the first finds a core that has rested
    for all of them, and the others find it warm.

    >>> bunched(0.004, 5, 0.0), round(bunched(0.004, 5, 1.0), 3)
    (0.5, 0.167)
    """
    each = max(1.0, each)
    return together * coldness(each * rest_s) / each + (1 - together) * coldness(rest_s)


def rest_s(cores: float, used: float, cpu_s: float) -> float:
    """How long each of `cores` rests for a request of `cpu_s`, where `used` of them compute.

    >>> rest_s(2.0, 0.5, 0.001)
    0.003
    """
    return max(0.0, cores - used) * cpu_s / used if used > 0 else float("inf")


def asleep(used: float, each: float) -> float:
    """How likely a request meets a sleeping worker that has `each` connections, `used` of its time.

    It sees the others' requests alone (arrival theorem, as Schweitzer approximates it: Lazowska and
    others 1984, 6.4).

    >>> asleep(0.9, 1), asleep(1.0, 4)
    (1.0, 0.25)
    """
    return 1 - min(1.0, used) * (max(1.0, each) - 1) / max(1.0, each)


def awake_s(
    config: Configuration, demand: Demand, cores: float, concurrency: int, most_rps: float
) -> float:
    """CPU of a request with what waking up adds at the load that comes of it.

    The requests inside are away from the CPU for the rest of their time each, and no more than
    `most_rps` are served: asymptotic bounds of a closed load (Lazowska and others 1984, 5.2).
    """
    inside = min(concurrency, config.workers * config.slots(demand, concurrency))
    away = demand.total_s - demand.cpu_s
    cores, each = min(cores, config.workers), concurrency / config.workers
    cpu = demand.cpu_s
    for _ in range(ROUNDS):
        rate = min(inside / (cpu + away), cores / cpu, most_rps)
        rest, served = max(0.0, cores / rate - cpu), rate * (cpu + away) / config.workers
        extra = demand.wake_s * bunched(rest, served, demand.lockstep)
        extra += demand.nap_s * asleep(rate * cpu / cores, each)
        # Halfway: a longer request rests less, and so would take turns with a shorter one.
        cpu = (cpu + demand.cpu_s + extra) / 2
    return cpu


def cold_turn_s(cpu_s: float, wake_s: float, *, processes: int, cores: float) -> float:
    """CPU that a request takes more of a process that rests while the others compute in turn."""
    rest = max(0.0, (processes / cores - 1) * cpu_s)
    return TURNED_COLD * min(wake_s, CACHES_S) * coldness(rest)


def hopping_s(wake_s: float, away_s: float, *, workers: int, cores: float) -> float:
    """CPU that a thread's request takes more that returns, `away_s` later, on another core.

    All threads of a worker share one interpreter's data, which the core that ran it last has in its
    caches. Others' turns move it to any of `cores`, however busy they are; a lone worker's threads,
    of which one runs at a time, stay where they are.

    >>> hopping_s(0.0008, 0.020, workers=1, cores=2.0)
    0.0
    >>> round(hopping_s(0.0008, 0.020, workers=4, cores=2.0), 5)
    0.00029
    """
    used = max(1.0, min(workers, cores))
    return (1 - 1 / used) * min(wake_s, CACHES_S) * coldness(away_s)
