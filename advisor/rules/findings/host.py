"""Findings about the host, and what else runs on it."""

from __future__ import annotations

from advisor.quantities import count, size
from advisor.rules import versions
from advisor.rules.containers import is_container
from advisor.rules.findings.case import Case, Said, finding

MIB = 1024**2
# Pages of idle processes that a host without need has swapped out for good.
FEW_SWAPPED_BYTES = 64 * MIB
# What other processes hold before they count as neighbours that compute too.
NEIGHBOURS_RATIO = 0.25


@finding("swapping", "warning")
def _swapping(case: Case) -> Said | None:
    memory = case.facts.memory
    total, used = memory.swap_total_bytes, memory.swap_used_bytes
    if not total or not used or used < FEW_SWAPPED_BYTES:
        return None
    short = used > memory.available_bytes
    room = "more than" if short else "which would fit into"
    return Said(
        "Memory is swapped out",
        f"{size(used)} of {size(total)} swap are used, {room} the {size(memory.available_bytes)} "
        "of memory that is free; a worker that waits for its pages answers late.",
        {"swap_used_bytes": used, "available_bytes": memory.available_bytes},
        "Give the host memory, or run less on it; then swapoff -a && swapon -a brings pages back.",
        None if short else "info",
    )


@finding("shared-without-quota", "warning")
def _no_quota(case: Case) -> Said | None:
    """Every CPU is counted as this app's where others, who are seen, have no quota before them.

    A pod with requests only is how 129 workers came about (pr-agent#2550).
    """
    cpu = case.facts.cpu
    if cpu.quota != "none" or case.value("budget.cpus") is not None:
        return None
    neighbours = _neighbours(case)
    if not neighbours:
        return None
    return Said(
        "The CPUs are shared, and no quota says how",
        f"All {count(cpu.effective, 'CPU')} were counted as this app's, but {neighbours}; when "
        "they compute too, the workers get less than was planned.",
        {
            "cpu.effective": cpu.effective,
            "others_bytes": case.facts.memory.others_bytes,
            "servers": len(case.facts.servers),
        },
        "Say what the app may use (--cpus, budget.cpus), or set a CPU limit.",
    )


def _neighbours(case: Case) -> str | None:
    """Who else is seen to use the host: in words, None for nobody."""
    facts = case.facts
    if any(is_container(limit.source) for limit in (*facts.cpu.limits, *facts.memory.limits)):
        return "this is a container, and others share its host"
    mine = case.server.pid if case.server else None
    others = [server for server in facts.servers if server.pid != mine]
    if others:
        kinds = ", ".join(dict.fromkeys(server.kind for server in others))
        return f"{count(len(others), 'other app server')} run{'s' * (len(others) == 1)} ({kinds})"
    held = facts.memory.others_bytes
    if held is not None and held >= NEIGHBOURS_RATIO * facts.memory.total_bytes:
        return f"other processes hold {size(held)} of memory"
    return None


@finding("unknown-version", "info")
def _versions(case: Case) -> Said | None:
    chosen = (case.value("proxy"), case.value("server"))
    found = {
        name: case.facts.components[name].version
        for name in chosen
        if name in case.facts.components
    }
    odd = {name: text for name, text in found.items() if versions.parse(text) is None}
    if not odd:
        return None
    names = " and ".join(odd)
    return Said(
        f"The version of {names} makes no sense here",
        "Settings that not every version takes are left out, and the rest is on the cautious side.",
        {**odd},
        "Install a released version; or pin what it can take.",
    )


@finding("proxy-missing", "info")
def _proxy_missing(case: Case) -> Said | None:
    """Only where daemons were looked for at all: a copied tree has none."""
    proxy, found = case.value("proxy"), case.facts.components
    if proxy == "none" or proxy in found or not found:
        return None
    return Said(
        f"{proxy} is not on this host",
        "Its settings are the ones that every version takes.",
        {"proxy": proxy},
        f"Install {proxy}, or set proxy in advisor.yml (nginx, caddy or none).",
    )
