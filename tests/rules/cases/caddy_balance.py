"""What Caddy's rules about several hosts say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.caddy import CADDY
from tests.rules.cases.nginx import HOSTS, NEW, OLD, ONE_HOST
from tests.rules.cases.shared import NGINX, SILENT


def only_with_hosts(value: Any, **also: Any) -> list[tuple[dict[str, Any], Any]]:
    given = {name.replace("__", "."): known for name, known in also.items()}
    return [
        (CADDY | HOSTS | given, value),
        (CADDY | ONE_HOST | given, SILENT),
        (CADDY | given, SILENT),
        (NGINX | HOSTS | given, SILENT),
    ]


RETRIES = "can.caddy.lb_retries"
ASKED = {"caddy.health_uri": "/healthz"}
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "caddy.lb_policy": only_with_hosts("least_conn"),
    "caddy.lb_try_duration": [
        *only_with_hosts(5, caddy__dial_timeout=3),
        (CADDY | HOSTS | {"caddy.dial_timeout": 10}, 12),
    ],
    "caddy.lb_retries": [
        (CADDY | HOSTS | {RETRIES: NEW}, 1),
        (CADDY | HOSTS | {RETRIES: OLD}, None),
        (CADDY | HOSTS, None),
        (CADDY | {RETRIES: NEW}, SILENT),
    ],
    "caddy.max_fails": only_with_hosts(3),
    "caddy.fail_duration": only_with_hosts(10),
    "caddy.health_uri": only_with_hosts("/healthz", app__health="/healthz"),
    "caddy.health_interval": [(CADDY | ASKED, 10), (NGINX | ASKED, SILENT)],
    "caddy.health_timeout": [(CADDY | ASKED, 5), (NGINX | ASKED, SILENT)],
}
