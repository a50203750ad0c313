"""From facts to what may be spent: memory, CPU, and what a worker takes of them. Pure.

What is not known takes a labelled default, on the cautious side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.model.memory import MemoryCost

if TYPE_CHECKING:
    from advisor.documents import Facts, Limit, Measurement, Server, Worker

MIB = 1024**2
# PSS of bare apps, measured: a UvicornWorker 31 MB, gthread 19 MB, the master 18 MB. Real apps
# import more, so an app that was not measured is taken for twice that, give or take half.
MASTER_BYTES = 20 * MIB
ASSUMED_WORKER_BYTES = {"asgi": 62 * MIB, "wsgi": 38 * MIB}
# An idle thread's stack takes 18 KB; one that has served requests some 30 (4 workers: 83 MB with 4
# threads each, 87 with 64), and an app's own pages may take more.
THREAD_BYTES = 48 * 1024
# Importing FastAPI takes 0.2 s of CPU, a real app several times that.
ASSUMED_BOOT_CPU_S = 0.5
# Workers grow a little under load that a short measurement has not seen.
MEMORY_MARGIN = 1.1
# What is left is planned up to here: the rest is for what was not seen.
BUDGET_RATIO = 0.9
# Free memory is another at each look. In steps of at most a 32nd the same host has the same budget.
STEPS = 32


@dataclass(frozen=True, slots=True)
class Amount:
    """A limit to plan with and where it comes from, in words."""

    value: float
    source: str


def workers_of(server: Server | None, measurement: Measurement | None) -> list[Worker]:
    """The workers as the measurement left them, warm, else as they run."""
    return (measurement.workers if measurement else []) or (server.workers if server else [])


def memory_cost(
    server: Server | None, measurement: Measurement | None, interface: str
) -> MemoryCost:
    """Base and marginal memory: a worker's USS is what one more adds, shared pages are base.

    The marginal memory that the measurement tells comes first; it knows how workers differ.
    """
    workers = workers_of(server, measurement)
    known = [(w.pss_bytes, w.uss_bytes) for w in workers if w.pss_bytes and w.uss_bytes]
    if not known:
        assumed = ASSUMED_WORKER_BYTES[interface]
        return MemoryCost(MASTER_BYTES, assumed, THREAD_BYTES, 0.5, 1.5, measured=False)
    shared = sum(max(0, pss - uss) for pss, uss in known)
    master = server.master_pss_bytes if server and server.master_pss_bytes else MASTER_BYTES
    told = measurement.worker_memory if measurement else None
    if told and told.marginal_bytes and told.marginal_bytes.value > 0:
        next_one = told.marginal_bytes
        marginal, most = round(next_one.value), next_one.high / next_one.value
    else:
        marginal, most = max(uss for _, uss in known), 1.0
    high = max(MEMORY_MARGIN, most)
    return MemoryCost(master + shared, marginal, THREAD_BYTES, 0.95, high, measured=True)


def own_bytes(server: Server | None) -> int:
    """What the app itself uses now, which counts as free to it."""
    if server is None:
        return 0
    workers = sum(worker.pss_bytes or 0 for worker in server.workers)
    own_master = all(worker.pid != server.pid for worker in server.workers)
    return workers + (server.master_pss_bytes or 0 if own_master else 0)


def memory_budget(facts: Facts, server: Server | None, asked: int | None, where: str) -> Amount:
    """Bytes to plan with: what was asked for, else 0.9 of what is left at every limit, in steps.

    A limit's use holds the app's own where the facts are those of one of its processes.
    """
    if asked is not None:
        return Amount(asked, where)
    own = own_bytes(server)
    inside = server is not None and facts.pid in {server.pid, *(w.pid for w in server.workers)}
    rooms = [
        (_room(limit, own if inside else 0), limit.source)
        for limit in facts.memory.limits
        if limit.kind != "total" and limit.value is not None
    ]
    rooms.append((facts.memory.available_bytes + own, "/proc/meminfo"))
    left, source = min(rooms)
    return Amount(_stepped(int(BUDGET_RATIO * left)), f"{BUDGET_RATIO} of what {source} leaves")


def _stepped(amount: int) -> int:
    """Down to the next of 32 to 64 steps between two powers of two.

    >>> _stepped(1000), _stepped(1023), _stepped(1024), _stepped(31)
    (992, 1008, 1024, 31)
    """
    step = 1 << max(0, amount.bit_length() - STEPS.bit_length())
    return amount // step * step


def _room(limit: Limit, own: int) -> float:
    value = limit.value or 0
    return max(0.0, min(value, value - (limit.used_bytes or 0) + own))


def cpu_budget(facts: Facts, asked: float | None, where: str) -> Amount:
    """CPUs to plan with: what was asked for, else what the host's limits leave."""
    return (
        Amount(asked, where)
        if asked is not None
        else Amount(facts.cpu.effective, facts.cpu.binding)
    )


def boot_cpu(server: Server | None, measurement: Measurement | None) -> tuple[float, bool]:
    """CPU seconds a worker takes to boot, and whether that was measured."""
    seen = [w.boot_cpu_s for w in workers_of(server, measurement) if w.boot_cpu_s]
    return (max(seen), True) if seen else (ASSUMED_BOOT_CPU_S, False)
