"""Where an input of a setting comes from, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Estimate
from advisor.report.values import quantity

if TYPE_CHECKING:
    from advisor.documents import Facts, Measurement, Recommendation, Setting

GIVEN = {
    "config": "advisor.yml",
    "observed": "seen on the server that runs",
    "default": "by default",
}
# Inputs that stand for something not measured where `unknown` has this entry.
ASSUMED = {
    "memory_base_bytes": "memory of a worker",
    "memory_per_worker_bytes": "memory of a worker",
    "boot_cpu_s": "boot CPU of a worker",
}
KNOWN = {
    "memory_base_bytes": "PSS and USS of its processes",
    "memory_per_worker_bytes": "USS of its workers",
    "boot_cpu_s": "CPU that its workers took to boot",
    "concurrency": "--concurrency, or what saturates the CPU",
    "needed_bytes": "the joint choice, a reload included",
    "room_bytes": "the budget less what the workers need",
}
# What settings are of: an input of another version's rule may be one that this document lacks.
COMPONENTS = {
    *("gunicorn", "uvicorn", "hypercorn", "granian"),
    *("nginx", "caddy", "systemd", "sysctl", "redis", "sqlalchemy", "asyncpg"),
}
KERNEL = {
    "kernel.somaxconn": "/proc/sys/net/core/somaxconn",
    "kernel.tcp_max_syn_backlog": "/proc/sys/net/ipv4/tcp_max_syn_backlog",
    "kernel.tcp_fin_timeout_s": "/proc/sys/net/ipv4/tcp_fin_timeout",
    "kernel.tcp_migrate_req": "/proc/sys/net/ipv4/tcp_migrate_req",
    "kernel.ip_local_port_range": "/proc/sys/net/ipv4/ip_local_port_range",
    "kernel.file_max": "/proc/sys/fs/file-max",
    "kernel.nofile_soft": "the process's own limits",
    "kernel.nofile_hard": "the process's own limits",
}


def origins(
    setting: Setting,
    rec: Recommendation,
    facts: Facts | None = None,
    measurement: Measurement | None = None,
) -> dict[str, str]:
    """The source of each of the setting's inputs.

    Facts and measurement, where they are at hand, say more than the recommendation alone.
    """
    return {name: _origin(name, setting, rec, facts, measurement) for name in setting.inputs}


def _origin(
    name: str,
    setting: Setting,
    rec: Recommendation,
    facts: Facts | None,
    measurement: Measurement | None,
) -> str:
    for other in rec.settings:
        if other.id == name:
            return "the setting, pinned" if other.pinned else "the setting"
    if name in rec.intent:
        return GIVEN[rec.intent[name].from_]
    return (
        _limit(name, setting, rec, facts)
        or _measured(name, measurement)
        or _component(name, rec)
        or _reckoned(name, rec)
        or ("another setting" if name.partition(".")[0] in COMPONENTS else "worked out by the rule")
    )


def _limit(name: str, setting: Setting, rec: Recommendation, facts: Facts | None) -> str | None:
    """The limit that decides over CPU or memory, by the file it was read from."""
    match name:
        case "cpu.effective" | "cpu.binding":
            named = setting.inputs.get("cpu.binding") or (facts.cpu.binding if facts else None)
            return "what decides" if name == "cpu.binding" else f"limited by {named}"
        case "memory_budget_bytes":
            source = setting.inputs.get("memory_budget_source") or next(
                (s.inputs["memory_budget_source"] for s in rec.settings if _budgeted(s)), None
            )
            return f"{source}" if source else "the memory budget"
        case "memory_budget_source":
            return "what decides"
        case "memory.effective_bytes" if facts:
            return f"limited by {facts.memory.binding}"
        case _:
            return KERNEL.get(name)


def _budgeted(setting: Setting) -> bool:
    return "memory_budget_source" in setting.inputs


def _measured(name: str, measurement: Measurement | None) -> str | None:
    """The interval and the samples of a measured quantity."""
    if measurement is None:
        return "measured" if name.endswith("_per_request_s") or "latency" in name else None
    found: object = getattr(measurement, name, None)
    if name in {"latency_s.p50", "latency_s.p99"}:
        found = measurement.latency_s.get("p50" if name.endswith("50") else "p99")
    if not isinstance(found, Estimate):
        return None
    between = f"{quantity(name, found.low)} to {quantity(name, found.high)}"
    return f"measured: {quantity(name, found.value)} ({between}, n = {found.n:,})"


def _component(name: str, rec: Recommendation) -> str | None:
    """A version found, or what one can do: `can.nginx.http2_directive`."""
    first, _, rest = name.partition(".")
    if first not in {"components", "can"}:
        return None
    found = rec.components.get(rest.partition(".")[0])
    if found is None:
        return None
    if first == "can":
        return f"by its version, {found.version}"
    return f"found: {found.path}" if found.path else "found on the host"


def _reckoned(name: str, rec: Recommendation) -> str | None:
    if any(gap.what == ASSUMED.get(name) for gap in rec.unknown):
        return "assumed: it could not be measured"
    if name.startswith("plan."):
        return "the joint choice of class, workers and threads"
    if name.startswith(("host.", "cpu.", "memory.", "kernel.")):
        return "facts of the host"
    return KNOWN.get(name)
