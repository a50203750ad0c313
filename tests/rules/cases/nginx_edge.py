"""What nginx's rules about clients say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.nginx import ROUTES
from tests.rules.cases.shared import MIB, NGINX, NO_PROXY, SILENT

RATE = "limits.rate_per_client_rps"
GRANTED = NGINX | {RATE: 20}
TRUSTED = NGINX | {"nginx.set_real_ip_from": ["10.0.0.0/8"]}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.client_header_timeout": [(NGINX, 15), (NO_PROXY, SILENT)],
    "nginx.client_body_timeout": [(NGINX, 30), (NO_PROXY, SILENT)],
    "nginx.send_timeout": [(NGINX, 30), (NO_PROXY, SILENT)],
    "nginx.keepalive_timeout": [(NGINX, 75), (NO_PROXY, SILENT)],
    "nginx.client_max_body_size": [
        (NGINX | {"limits.request_body": 10 * MIB}, 10 * MIB),
        (NGINX, SILENT),
        (NO_PROXY | {"limits.request_body": 10 * MIB}, SILENT),
    ],
    "nginx.set_real_ip_from": [(NGINX, None), (NO_PROXY, SILENT)],
    "nginx.real_ip_header": [
        (TRUSTED, "X-Forwarded-For"),
        (TRUSTED | {"proxy": "caddy"}, SILENT),
    ],
    "nginx.real_ip_recursive": [
        (TRUSTED | {"nginx.real_ip_header": "X-Forwarded-For"}, True),
        (TRUSTED | {"nginx.real_ip_header": "CF-Connecting-IP"}, SILENT),
    ],
    "nginx.limit_req_rate": [
        (NGINX | {RATE: rate}, expected)
        for rate, expected in [
            (20, "20r/s"),
            (20.0, "20r/s"),
            (0.5, "30r/m"),
            (2.5, "150r/m"),
            # Never less than was granted: nginx counts whole requests.
            (0.01, "1r/m"),
            (1 / 3, "20r/m"),
            (1500.5, "1501r/s"),
            (1e300, "1000000r/s"),
        ]
    ],
    "nginx.limit_req_burst": [
        (GRANTED, 40),
        (NGINX | {RATE: 0.5}, 10),
        (NGINX | {RATE: 7.3}, 15),
        (NGINX | {RATE: 1e300}, 200_000),
        (NO_PROXY | {RATE: 20}, SILENT),
    ],
    "nginx.limit_req_nodelay": [
        (NGINX | {"nginx.limit_req_burst": 40}, True),
        (NO_PROXY | {"nginx.limit_req_burst": 40}, SILENT),
    ],
    "nginx.limit_req_zone_size": [(GRANTED, 10 * MIB), (NO_PROXY | {RATE: 20}, SILENT)],
    "nginx.limit_req_status": [(GRANTED, 429), (NO_PROXY | {RATE: 20}, SILENT)],
    "nginx.limit_conn_per_client": [
        (GRANTED, 40),
        # Ten pages open, each with a WebSocket and a stream.
        (GRANTED | ROUTES, 60),
        (NGINX | {RATE: 1e300}, 65535),
    ],
    "nginx.limit_conn_zone_size": [
        (NGINX | {"nginx.limit_conn_per_client": 40}, 10 * MIB),
        (NO_PROXY | {"nginx.limit_conn_per_client": 40}, SILENT),
    ],
}
