"""Bytes a request moves over the network and to disk, against what these carry. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from advisor.documents import Carried, Unknown
from advisor.probe.analysis import statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Estimate, Interface
    from advisor.probe.analysis.observation import Window
    from advisor.probe.sample.carried import DiskSample

# Below this share of the time a disk's use says nothing of what it could do.
LEAST_BUSY = 0.1


def network(
    windows: Sequence[Window], interface: Interface | None, knee_rps: float | None
) -> Carried | None:
    """Bytes a request and its answer take, headers included, as the client sees them.

    `interface` is where the app's real clients come in: the probe itself came over loopback.
    A link carries its speed in each direction, so `used_ratio` is that of the fuller one at the
    knee. The packets' own headers (40 bytes and more in each) are not in it. None for too few
    windows or answers.
    """
    answered = [w.completed for w in windows]
    each = statistics.ratio([w.bytes_in + w.bytes_out for w in windows], answered, n=sum(answered))
    if each is None:
        return None
    fuller = max(sum(w.bytes_in for w in windows), sum(w.bytes_out for w in windows))
    return _carried(
        each,
        interface.name if interface else "lo",
        capacity=interface.bytes_per_s if interface else None,
        demand=fuller / sum(answered) * knee_rps if knee_rps else None,
    )


def disk(
    samples: Sequence[DiskSample], knee_rps: float | None
) -> tuple[Carried | None, Unknown | None]:
    """Bytes a request has the disks read and write, over samples in order of time.

    The carrier is the busiest disk meanwhile: what is written reaches it up to half a minute
    later, so it may be another's work. What it could carry is what it moved over the share of
    the time it was busy; a disk that serves requests side by side can do more. Null where it
    was busy for less than a tenth. None where the requests left the disks alone, and where
    nothing can be told; an unknown where that is for want of rights.
    """
    if any(sample.moved_bytes is None for sample in samples):
        return None, Unknown(
            what="disk bytes a request",
            why="the workers' counters could not be read",
            remedy="run as root, or as the server's user",
        )
    requests = [after.requests - before.requests for before, after in pairwise(samples)]
    moved = [
        (after.moved_bytes or 0) - (before.moved_bytes or 0) for before, after in pairwise(samples)
    ]
    each = statistics.ratio(moved, requests, n=sum(requests))
    if each is None or each.value == 0:
        return None, None
    name, capacity = _busiest(samples[0], samples[-1])
    demand = each.value * knee_rps if knee_rps else None
    return _carried(each, name, capacity=capacity, demand=demand), None


def _carried(
    each: Estimate, carrier: str, *, capacity: float | None, demand: float | None
) -> Carried:
    used = round(demand / capacity, 4) if capacity and demand is not None else None
    return Carried(
        bytes_per_request=each,
        carrier=carrier,
        capacity_bytes_per_s=capacity or None,
        used_ratio=used,
    )


def _busiest(first: DiskSample, last: DiskSample) -> tuple[str, float | None]:
    """The disk that was busy for longest, and bytes a second that it could carry."""
    seconds = last.at_s - first.at_s
    worked = {
        name: (after.busy_s - before.busy_s, after.moved_bytes - before.moved_bytes)
        for name, after in last.devices.items()
        if (before := first.devices.get(name))
    }
    name = max(worked, key=lambda each: worked[each], default=None)
    if name is None or not any(worked[name]):
        return "disk", None
    busy_s, moved_bytes = worked[name]
    told = seconds > 0 and busy_s >= LEAST_BUSY * seconds and moved_bytes > 0
    return name, moved_bytes / busy_s if told else None
