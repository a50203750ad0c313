"""A Grafana dashboard: a panel for each alert, with the limit that it fires at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.kit.monitoring_alerts import alerts

if TYPE_CHECKING:
    from advisor.render.kit.monitoring_alert import Alert
    from advisor.render.values import Inputs

# Grafana 9's; newer ones read older schemas, and older ones show what they know of it.
SCHEMA_VERSION = 36
# Grafana's grid is 24 wide; a unit of height is 30 pixels (Grafana: dashboard JSON model).
WIDTH, HEIGHT, COLUMNS = 12, 8, 2
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard(inputs: Inputs) -> dict[str, Any]:
    """The dashboard, its description aside; any Prometheus of the Grafana can be chosen in it."""
    name = inputs.intent.app_name
    return {
        # At most 40 characters, which a name of 32 leaves room for.
        "uid": f"advisor-{name}",
        "title": f"{name}, as deployed by advisor",
        "tags": ["advisor", name],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": [_panel(number, alert) for number, alert in enumerate(alerts(inputs))],
    }


def _panel(number: int, alert: Alert) -> dict[str, Any]:
    sign, limit = alert.bad
    row, column = divmod(number, COLUMNS)
    # Red is the side of the limit on which the alert fires.
    below, above = ("red", "green") if sign in {"<", "=="} else ("green", "red")
    edge = limit + 1 if sign == "==" else limit
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": alert.name,
        "description": alert.remedy,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": WIDTH, "x": column * WIDTH, "y": row * HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": alert.unit,
                "custom": {"thresholdsStyle": {"mode": "line"}},
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": below, "value": None}, {"color": above, "value": edge}],
                },
            },
            "overrides": [],
        },
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": alert.value}],
    }
