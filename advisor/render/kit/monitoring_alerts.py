"""What is worth waking somebody for, each with what to do; limits are the recommendation's.

An alert is about something that is rendered, and about what harms: a unit that is down, memory
where the kernel begins to reclaim, a queue that overflows. Each has a panel in the dashboard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.kit.monitoring_alert import ON, Alert
from advisor.render.kit.monitoring_jobs import jobs
from advisor.render.kit.monitoring_services import of_caddy, of_nginx, of_redis
from advisor.render.kit.monitoring_units import of_cadvisor, of_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.render.kit.monitoring_jobs import Job, Part
    from advisor.render.values import Inputs

OF: dict[Part, Callable[[Inputs, Job], list[Alert]]] = {
    "node": of_node,
    "cadvisor": of_cadvisor,
    "nginx": of_nginx,
    "caddy": of_caddy,
    "redis": of_redis,
}


def alerts(inputs: Inputs) -> list[Alert]:
    """The alerts of all jobs, in their order: first that a job does not answer."""
    return [
        alert for job in jobs(inputs) for alert in (_unanswered(job), *OF[job.part](inputs, job))
    ]


def _unanswered(job: Job) -> Alert:
    return Alert(
        f"{job.part.capitalize()}Unanswered",
        f'up{{job="{job.name}"}}',
        ("==", 0),
        "5m",
        "warning",
        f"{ON}nothing answers to the job {job.name}: its alerts are blind.",
        "See whether its exporter runs, and what Prometheus says of it under Targets.",
        or_absent=True,
    )
