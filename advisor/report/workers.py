"""The workers of a measurement: their memory, how the work fell on them, what a request moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import count, rate, size
from advisor.report.layout import row, spread

if TYPE_CHECKING:
    from advisor.documents import Measurement
    from advisor.documents.measurement import Balance, Carried, WorkerMemory

_NEAR = 0.7  # of a carrier: queues grow before it is full
_NOTABLE = 0.01
_STARTED = {
    "fork": "forked",
    "spawn": "spawned",
    "itself": "the server's one process",
    "unknown": "started in a way that is not known",
}


def workers(measured: Measurement) -> list[str]:
    """How many there are, the memory of each and of one more, and how evenly they worked."""
    if not measured.workers:
        return []
    pss = [each.pss_bytes for each in measured.workers if each.pss_bytes is not None]
    uss = [each.uss_bytes for each in measured.workers if each.uss_bytes is not None]
    memory = f"{_mean(pss)} PSS each" if pss else "memory unknown"
    own = f", {_mean(uss)} of it their own (USS)" if uss else ""
    shares = [each.share_ratio for each in measured.workers if each.share_ratio is not None]
    work = f"; the busiest did {max(shares):.0%} of the work" if len(shares) > 1 else ""
    return [
        "",
        "Workers",
        row("workers", f"{len(measured.workers)}, {memory}{own}{work}"),
        *(_shared(measured.worker_memory) if measured.worker_memory else []),
        *([row("imbalance", _balance(measured.balance))] if measured.balance else []),
        row("memory growth", _growth(measured)),
    ]


def carried(measured: Measurement) -> list[str]:
    """Bytes that a request moves over the network and the disk, and how full those are."""
    when = "at the rate seen" if measured.mode == "observe" else "at the knee's rate"
    parts = {"network": measured.network, "disk": measured.disk}
    return [row(name, _carried(part, when)) for name, part in parts.items() if part]


def _mean(counts: list[int]) -> str:
    return size(sum(counts) / len(counts))


def _shared(memory: WorkerMemory) -> list[str]:
    marginal = memory.marginal_bytes
    cost = f"{size(marginal.value)}{spread(marginal)}" if marginal else "unknown"
    whole = f"{size(memory.shared_bytes)} shared" if memory.shared_bytes is not None else ""
    imported = {
        True: "the app is imported before the fork, so its memory is shared",
        False: "each imports the app for itself" if memory.started_by == "fork" else "",
        None: "whether they share the app is not known" if memory.started_by == "fork" else "",
    }[memory.preloaded]
    start = "; ".join(filter(None, (_STARTED[memory.started_by], imported, whole)))
    return [row("one more costs", f"{cost} of memory"), row("started", start)]


def _balance(balance: Balance) -> str:
    if balance.lost_ratio < _NOTABLE:
        return f"costs nothing ({balance.even_ratio:.0%} each would be even)"
    return (
        f"the busiest did {balance.busiest_ratio:.0%}, where {balance.even_ratio:.0%} would be "
        f"even: an even spread would serve {balance.lost_ratio:.0%} more"
    )


def _growth(measured: Measurement) -> str:
    growth = measured.memory_growth_bytes_per_request
    if growth is None:
        return "cannot be told in this time"
    if not growth.value:
        return "none"
    text = f"{_bytes(growth.value)} a request{spread(growth)}"
    if measured.observed is None:
        return f"{text}: a leak, {size(growth.value * 1e6)} in a million requests"
    per_hour = size(growth.value * measured.observed.rate_rps * 3600)
    return f"{text}: a leak, {per_hour} an hour at the {rate(measured.observed.rate_rps)} seen"


def _carried(part: Carried, when: str) -> str:
    moved = f"{_bytes(part.bytes_per_request.value)} a request{spread(part.bytes_per_request)}"
    if part.used_ratio is None or part.capacity_bytes_per_s is None:
        return f"{moved}; how much {part.carrier} carries is not known"
    full = ": it limits before the app does" if part.used_ratio >= 1 else ": it is nearly full"
    return (
        f"{moved}; {when} {part.used_ratio:.0%} of the {size(part.capacity_bytes_per_s)}/s that "
        f"{part.carrier} carries{full if part.used_ratio >= _NEAR else ''}"
    )


def _bytes(number: float) -> str:
    """Bytes of one request, which are often few.

    >>> _bytes(2000), _bytes(18211)
    ('2000 bytes', '18 K')
    """
    return size(number) if number >= 10 * 1024 else count(round(number), "byte")
