"""Facts as text for people: what binds first, the servers found, and what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import count, size
from advisor.report.layout import paragraph, row, unknowns

if TYPE_CHECKING:
    from advisor.documents import Cpu, Facts, Kernel, Limit, Memory, Server

NOT_KNOWN = "not known"


def table(facts: Facts) -> str:
    """The facts in 80 columns, ending in a newline."""
    whose = "this process" if facts.pid is None else f"process {facts.pid}"
    host = facts.host
    text = "\n".join(
        [
            f"{host.name}: {host.os}, Linux {host.kernel}, {host.arch}",
            "",
            f"Limits of {whose}",
            *_cpu(facts.cpu),
            *_memory(facts.memory),
            *_kernel(facts.kernel),
            "",
            "Components",
            *_components(facts),
            *(line for server in facts.servers for line in ("", *_server(server))),
            *([] if facts.servers else ["", "No Gunicorn or Uvicorn server found running"]),
            *unknowns(facts.unknown),
            "",
        ]
    )
    # Anybody may start a process whose command line holds a terminal's control sequences.
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def _cpu(cpu: Cpu) -> list[str]:
    cores = f", on {count(cpu.physical, 'core')}" if cpu.physical else ""
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
    ]


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


def _number(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value}"
