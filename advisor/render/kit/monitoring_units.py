"""Alerts on the app's units: that they run, whole, and within what they were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit.monitoring_alert import NEAR_RATIO, ON, Alert
from advisor.render.kit.monitoring_jobs import units
from advisor.render.kit.systemd_names import has_command, slice_name, unit
from advisor.render.place import is_unix

if TYPE_CHECKING:
    from advisor.render.kit.monitoring_jobs import Job
    from advisor.render.values import Inputs

# Of MemoryHigh, which is itself a tenth below what kills.
NEAR_MEMORY_RATIO = 0.95
THROTTLED_RATIO = 0.25
# A master stands beside its workers.
MASTER = 1


def of_node(inputs: Inputs, job: Job) -> list[Alert]:
    """What systemd and the kernel say of the units and of the host."""
    named = units(inputs)
    every = f'job="{job.name}",name=~"{"|".join(named.values())}"'
    return [
        *(_down(job, part, name) for part, name in named.items()),
        Alert(
            "Restarts",
            f"increase(node_systemd_service_restart_total{{{every}}}[15m])",
            (">=", 3),
            "0m",
            "warning",
            f"{ON}{{{{ $labels.name }}}} was started again three times in a quarter of an hour.",
            "Read why it ended: journalctl -u {{ $labels.name }}.",
        ),
        *_few_workers(inputs, job),
        *_many_tasks(inputs, job),
        Alert(
            "KilledForMemory",
            f'increase(node_vmstat_oom_kill{{job="{job.name}"}}[10m])',
            (">", 0),
            "0m",
            "warning",
            f"{ON}the kernel has killed a process of this host for memory.",
            "journalctl -k -g oom names it. If it is the app's: advisor recommend with a new "
            "measurement, or fewer workers.",
        ),
        *_overflows(inputs, job),
    ]


def _down(job: Job, part: str, name: str) -> Alert:
    return Alert(
        f"{part}Down",
        f'node_systemd_unit_state{{job="{job.name}",name="{name}",state="active"}}',
        ("==", 0),
        "2m",
        "critical",
        f"{ON}{name} is not running.",
        f"systemctl status {name} says since when, journalctl -u {name} why.",
        or_absent=True,
    )


def _few_workers(inputs: Inputs, job: Job) -> list[Alert]:
    """Fewer tasks than processes: some are gone for certain. Threads may hide a missing one."""
    id_ = f"{inputs.intent.runs_on}.workers"
    workers = inputs.values[id_]
    if workers is None or workers < 2 or not has_command(inputs):
        return []
    name = unit(inputs.intent)
    return [
        Alert(
            "WorkersMissing",
            f'node_systemd_unit_tasks_current{{job="{job.name}",name="{name}"}}',
            ("<", workers + MASTER),
            "5m",
            "warning",
            f"{ON}{name} has fewer processes than its {workers} workers and their master.",
            f"journalctl -u {name} says why workers end, or do not boot.",
            why=inputs.why[id_],
        )
    ]


def _many_tasks(inputs: Inputs, job: Job) -> list[Alert]:
    most = inputs.values["systemd.tasks_max"]
    if most is None or "Service" not in units(inputs):
        return []
    name = unit(inputs.intent)
    return [
        Alert(
            "TasksNearMax",
            f'node_systemd_unit_tasks_current{{job="{job.name}",name="{name}"}}',
            (">", int(NEAR_RATIO * most)),
            "5m",
            "warning",
            f"{ON}{name} is near its {most} processes and threads, and starts no more then.",
            "Look for threads that pile up (py-spy dump); if the app needs them, pin "
            "systemd.tasks_max.",
            why=inputs.why["systemd.tasks_max"],
        )
    ]


def _overflows(inputs: Inputs, job: Job) -> list[Alert]:
    """The kernel counts full queues of TCP listeners alone, over all of the host."""
    if is_unix(inputs.intent) and "proxy" not in inputs.manages:
        return []
    return [
        Alert(
            "BacklogOverflows",
            f'increase(node_netstat_TcpExt_ListenOverflows{{job="{job.name}"}}[10m])',
            (">", 0),
            "0m",
            "warning",
            f"{ON}connections were dropped, for a listener's queue was full.",
            "ss -ltn shows which (Recv-Q above Send-Q). Its server is too slow to accept, or "
            "net.core.somaxconn cuts its backlog short: advisor recommend says which.",
        )
    ]


def of_cadvisor(inputs: Inputs, job: Job) -> list[Alert]:
    """What the control groups of the app say: cAdvisor names each by its path."""
    return [*_near_high(inputs, job), *_throttled(inputs, job)]


def _near_high(inputs: Inputs, job: Job) -> list[Alert]:
    high = inputs.values["systemd.memory_high"]
    if high is None:
        return []
    name = unit(inputs.intent)
    return [
        Alert(
            "MemoryNearHigh",
            f"container_memory_working_set_bytes{{{_group(job, name)}}}",
            (">", int(NEAR_MEMORY_RATIO * high)),
            "10m",
            "warning",
            f"{ON}{name} is near MemoryHigh, where the kernel slows it down to reclaim.",
            "A leak: a restart, and max_requests until it is found. Grown for good: measure again, "
            "and give it more (budget.memory) or fewer workers.",
            unit="bytes",
            why=inputs.why["systemd.memory_high"],
        )
    ]


def _throttled(inputs: Inputs, job: Job) -> list[Alert]:
    """The quota is the slice's where there is one, for all that runs in it."""
    if inputs.values["systemd.cpu_quota"] is None:
        return []
    name = slice_name(inputs) or unit(inputs.intent)
    own = _group(job, name)
    return [
        Alert(
            "Throttled",
            f"rate(container_cpu_cfs_throttled_periods_total{{{own}}}[5m]) / "
            f"rate(container_cpu_cfs_periods_total{{{own}}}[5m])",
            (">", THROTTLED_RATIO),
            "10m",
            "warning",
            f"{ON}{name} stands still in a quarter of its periods: its CPU quota is used up.",
            "Give it more (budget.cpus), or take the quota away: a weight shares CPU without "
            "standing still.",
            unit="percentunit",
            why=inputs.why["systemd.cpu_quota"],
        )
    ]


def _group(job: Job, name: str) -> str:
    """The control group of a unit, wherever it lies; a dot stands for itself too."""
    return f'job="{job.name}",id=~".*/{name}"'
