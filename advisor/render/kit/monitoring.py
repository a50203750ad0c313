"""Prometheus's scrape jobs and alerts, and a Grafana dashboard, of what is rendered.

They go to the Prometheus that watches this host, wherever that is, beside those of other apps:
names and jobs begin with the app's, so that nothing of theirs is meant or replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output
from advisor.render.kit.monitoring_alerts import alerts
from advisor.render.kit.monitoring_dashboard import dashboard
from advisor.render.kit.monitoring_jobs import jobs

if TYPE_CHECKING:
    from advisor.render.component import Activation
    from advisor.render.values import Inputs

FOLDER = "/etc/prometheus/advisor"


def wanted(inputs: Inputs) -> bool:
    """On request, where there is anything to watch."""
    return "monitoring" in inputs.manages and bool(jobs(inputs))


def context(inputs: Inputs) -> dict[str, Any]:
    """The jobs, the alerts and the dashboard, and how Prometheus takes them."""
    return {
        "jobs": jobs(inputs),
        "alerts": alerts(inputs),
        "dashboard": dashboard(inputs),
        "includes": inputs.can("prometheus.scrape_config_files"),
        "prometheus": inputs.found("prometheus"),
        "folder": FOLDER,
        "is_here": not inputs.intent.hosts or bool(inputs.intent.sockets),
    }


def _output(
    template: str, path: str, target: str, activation: Activation, comment: str | None = "#"
) -> Output:
    return Output(
        template=f"monitoring/{template}",
        version=1,
        path=f"monitoring/{path}",
        target=target,
        owner="root",
        group="root",
        mode=0o644,
        wanted=wanted,
        checker="monitoring",
        activation=activation,
        comment=comment,
    )


MONITORING = Component(
    name="monitoring",
    settings=(),
    outputs=(
        _output("prometheus.yml.j2", "prometheus.yml", f"{FOLDER}/{{app}}.scrape.yml", "reload"),
        _output("app.rules.yml.j2", "{app}.rules.yml", f"{FOLDER}/{{app}}.rules.yml", "reload"),
        # Grafana looks through the folders of its providers by itself.
        _output(
            "app.dashboard.json.j2",
            "{app}.dashboard.json",
            "/var/lib/grafana/dashboards/advisor-{app}.json",
            "none",
            comment=None,
        ),
    ),
    context=context,
)
