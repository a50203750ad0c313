"""Facts as text for people: what binds first, the servers found, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import count, size
from advisor.report.layout import paragraph, printed, row, unknowns

if TYPE_CHECKING:
    from advisor.documents import Cpu, Facts, Interface, Kernel, Limit, Memory, Redis, Server

NOT_KNOWN = "not known"


def table(facts: Facts) -> str:
    """The facts in 80 columns, ending in a newline."""
    whose = "this process" if facts.pid is None else f"process {facts.pid}"
    host = facts.host
    return printed(
        [
            f"{host.name}: {host.os}, Linux {host.kernel}, {host.arch}",
            "",
            f"Limits of {whose}",
            *_cpu(facts.cpu),
            *_memory(facts.memory),
            *_kernel(facts.kernel),
            *_interfaces(facts.interfaces),
            "",
            "Components",
            *_components(facts),
            *(line for server in facts.servers for line in ("", *_server(server))),
            *([] if facts.servers else ["", "No app server found running"]),
            *(line for store in facts.redis for line in ("", *_redis(store))),
            *unknowns(facts.unknown),
        ]
    )


def _cpu(cpu: Cpu) -> list[str]:
    smt = {True: " with SMT", False: " without SMT", None: ""}[cpu.smt]
    cores = f", on {count(cpu.physical, 'core')}{smt}" if cpu.physical else ""
    return [
        row("CPUs", f"{cpu.effective:g} of {cpu.logical}{cores}, by {cpu.binding}"),
        *(row("CPU quota", text) for text in _quotas(cpu)),
    ]


def _quotas(cpu: Cpu) -> list[str]:
    """Every quota on the way up; that there is none is said as such."""
    quotas = [
        f"{limit.value:g} by {limit.source}"
        for limit in cpu.limits
        if limit.kind == "quota" and limit.value is not None
    ]
    none = "none, neither here nor above" if cpu.quota == "none" else NOT_KNOWN
    return quotas or [none]


def _memory(memory: Memory) -> list[str]:
    others = "" if memory.others_bytes is None else f", {size(memory.others_bytes)} used by others"
    set_limits = [limit for limit in memory.limits if limit.kind != "total" and limit.value]
    return [
        row("memory", f"{size(memory.effective_bytes)}, by {memory.binding}"),
        row(
            "",
            f"{size(memory.available_bytes)} of the machine's {size(memory.total_bytes)} "
            f"available{others}",
        ),
        *(row("", _memory_limit(limit)) for limit in set_limits),
        *([] if set_limits else [row("memory limit", "none of a cgroup")]),
        *([] if memory.swap_total_bytes is None else [row("swap", _swap(memory))]),
    ]


def _swap(memory: Memory) -> str:
    """The machine's swap: a group's own limit of it may be lower."""
    if not memory.swap_total_bytes:
        return "none"
    used = memory.swap_used_bytes
    return f"{size(memory.swap_total_bytes)}{'' if used is None else f', {size(used)} of it used'}"


def _memory_limit(limit: Limit) -> str:
    used = "" if limit.used_bytes is None else f", {size(limit.used_bytes)} of it used"
    return f"{size(limit.value or 0)} by {limit.source}{used}"


def _kernel(kernel: Kernel) -> list[str]:
    ports = kernel.ip_local_port_range
    return [
        row(
            "open files", f"{_number(kernel.nofile_soft)} soft, {_number(kernel.nofile_hard)} hard"
        ),
        row("somaxconn", _number(kernel.somaxconn)),
        row("local ports", f"{ports[0]} to {ports[1]}" if ports else NOT_KNOWN),
    ]


def _interfaces(interfaces: list[Interface]) -> list[str]:
    names = [f"{interface.name} ({_speed(interface)})" for interface in interfaces]
    return [row("network", ", ".join(names))] if names else []


def _speed(interface: Interface) -> str:
    """In bits, as links are sold."""
    if interface.bytes_per_s is None:
        return "speed not known"
    megabits = interface.bytes_per_s * 8 / 1e6
    return f"{megabits / 1000:g} Gbit/s" if megabits >= 1000 else f"{megabits:g} Mbit/s"


def _components(facts: Facts) -> list[str]:
    return [
        row(name, " ".join(filter(None, (component.version, f"({modules})" if modules else ""))))
        for name, component in facts.components.items()
        for modules in [", ".join(name.removeprefix("http_") for name in component.modules)]
    ] or [paragraph("none found")]


def _server(server: Server) -> list[str]:
    version = f" {server.version}" if server.version else ""
    details = {
        "app": f"{server.app or NOT_KNOWN}{f' ({server.interface})' if server.interface else ''}",
        "listens on": ", ".join(server.listen) or NOT_KNOWN,
        "workers": f"{len(server.workers)} x {server.worker_class or 'class not known'}"
        + (f", {count(server.threads, 'thread')} each" if server.threads else ""),
        "memory": _usage(server),
        "runs as": server.user,
        "folder": server.directory,
        "virtualenv": server.virtualenv,
        "python": server.python,
        "unit": server.unit,
        "settings": ", ".join(f"{name}={value}" for name, value in server.settings.items()),
    }
    return [
        f"{server.kind}{version}, pid {server.pid}",
        *(row(label, text) for label, text in details.items() if text),
    ]


def _usage(server: Server) -> str:
    """Each worker's memory where it may be read: shared pages in part, and its own alone."""
    parts = [
        f"pid {worker.pid} {size(worker.pss_bytes)} PSS, {size(worker.uss_bytes)} USS"
        for worker in server.workers
        if worker.pss_bytes is not None and worker.uss_bytes is not None
    ]
    return "; ".join(parts) or NOT_KNOWN


def _redis(store: Redis) -> list[str]:
    """One Redis: what it holds, what bounds it, and whose it is. A refusal stands below."""
    details = {
        "memory": _store_memory(store),
        "keys": _keys(store),
        "hits": None if store.hit_ratio is None else f"{store.hit_ratio * 100:.1f} % of reads",
        "persistence": " and ".join(store.persistence),
        "I/O threads": None if store.io_threads is None else f"{store.io_threads}",
        "broker of": store.broker_of,
    }
    version = f" {store.version}" if store.version else ""
    return [
        f"Redis{version}, {store.address}",
        *(row(label, text) for label, text in details.items() if text),
    ]


def _store_memory(store: Redis) -> str:
    if store.used_bytes is None:
        return NOT_KNOWN
    peak = "" if store.peak_bytes is None else f", {size(store.peak_bytes)} at its peak"
    limits = {None: "maxmemory not known", 0: "no maxmemory"}
    most = store.maxmemory_bytes
    limit = limits.get(most) or f"maxmemory {size(most or 0)}"
    policy = f", {store.maxmemory_policy}" if store.maxmemory_policy else ""
    return f"{size(store.used_bytes)}{peak}; {limit}{policy}"


def _keys(store: Redis) -> str | None:
    if store.keys is None:
        return None
    bare, evicted = store.keys_without_expiry, store.evicted_keys
    return (
        f"{store.keys:,}"
        + ("" if bare is None else f", {bare:,} of them without expiry")
        + ("" if evicted is None else f", {evicted:,} evicted so far")
    )


def _number(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value}"
