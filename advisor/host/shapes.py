"""Which hosts are of one shape, so that one recommendation serves them all. Pure.

Facts that a setting may depend on have to be equal: limits, versions, and how the app's server
runs. Memory differs by a little between equal machines and from minute to minute, so it has to be
alike; names, PIDs and counters do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from advisor.documents import Facts, Server

# The smaller of two amounts of memory is at least so much of the larger one.
ALIKE_RATIO = 0.9
PASSING = {"pid", "workers", "master_pss_bytes"}
COUNTERS = {
    *("used_bytes", "peak_bytes", "hit_ratio", "evicted_keys"),
    *("keys", "keys_without_expiry"),
}


@dataclass(frozen=True)
class Shape:
    """Hosts that are alike, by their names in the inventory, and the one that stands for them."""

    hosts: tuple[str, ...]
    representative: str


def shapes(facts: Mapping[str, Facts], *, measured_on: str | None = None) -> list[Shape]:
    """The shapes of some hosts, in the order of their first hosts' names.

    The host on which the app was measured stands for its shape, for what was measured holds
    there; in another shape the one with the least memory to spare, so that what fits there fits
    everywhere.
    """
    groups: list[list[str]] = []
    for name in sorted(facts):
        fitting = (
            group for group in groups if all(alike(facts[name], facts[other]) for other in group)
        )
        group = next(fitting, None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return [Shape(tuple(group), _representative(group, facts, measured_on)) for group in groups]


def alike(one: Facts, other: Facts) -> bool:
    """Whether two hosts are of one shape."""
    pairs = zip(_amounts(one), _amounts(other), strict=True)
    return _equal_part(one) == _equal_part(other) and all(
        min(pair) >= ALIKE_RATIO * max(pair) for pair in pairs
    )


def _representative(group: list[str], facts: Mapping[str, Facts], measured_on: str | None) -> str:
    for name in group:
        if measured_on is not None and facts[name].host.name == measured_on:
            return name
    return min(group, key=lambda name: (_spare(facts[name]), name))


def _amounts(facts: Facts) -> tuple[float, ...]:
    """What only has to be alike, in bytes, and the kernel's table of files, sized by memory."""
    memory = facts.memory
    return (
        memory.total_bytes,
        memory.effective_bytes,
        _spare(facts),
        facts.kernel.file_max or 0,
    )


def _spare(facts: Facts) -> int:
    """Memory that the app may take: what is free, and what its servers have now."""
    return facts.memory.available_bytes + sum(map(_own, facts.servers))


def _own(server: Server) -> int:
    sizes = {worker.pid: worker.pss_bytes or 0 for worker in server.workers}
    return sum(({server.pid: server.master_pss_bytes or 0} | sizes).values())


def _equal_part(facts: Facts) -> dict[str, Any]:
    """What has to be equal, without what names a host or passes."""
    data = facts.as_data()
    cpu, host, kernel = data["cpu"], data["host"], data["kernel"]
    return {
        "host": [host["os"], host["kernel"], host["arch"]],
        "cpu": {key: cpu.get(key) for key in ("logical", "physical", "effective", "quota", "smt")},
        "limits": sorted(_kinds(facts)),
        "kernel": {key: value for key, value in kernel.items() if key != "file_max"},
        "components": data["components"],
        "servers": [_server(server) for server in data["servers"]],
        "speeds": sorted(str(link.bytes_per_s) for link in facts.interfaces),
        "redis": [
            {key: value for key, value in store.items() if key not in COUNTERS}
            for store in data.get("redis", [])
        ],
    }


def _kinds(facts: Facts) -> list[tuple[str, float]]:
    """The limits that control groups set: where they were read may be a login's own group."""
    limits = [*facts.cpu.limits, *facts.memory.limits]
    return [
        (limit.kind, limit.value)
        for limit in limits
        if limit.value is not None and limit.kind != "total"
    ]


def _server(server: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in server.items() if key not in PASSING}
    return kept | {"workers": len(server["workers"])}
