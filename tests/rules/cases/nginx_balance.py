"""What nginx's rules about several hosts say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.nginx import HOSTS, KIB, ONE_HOST
from tests.rules.cases.shared import NGINX, NO_PROXY, SILENT


def only_with_hosts(value: Any) -> list[tuple[dict[str, Any], Any]]:
    return [
        (NGINX | HOSTS, value),
        (NGINX | ONE_HOST, SILENT),
        (NGINX | {"hosts": []}, SILENT),
        (NGINX, SILENT),
        (NO_PROXY | HOSTS, SILENT),
    ]


NEXT = "nginx.proxy_next_upstream"
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.upstream_method": only_with_hosts("least_conn"),
    "nginx.upstream_zone_size": [
        *only_with_hosts(256 * KIB),
        (NGINX | {"hosts": ["web.example:80"] * 12}, 256 * KIB),
        (NGINX | {"hosts": ["web.example:80"] * 24}, 512 * KIB),
    ],
    "nginx.upstream_max_fails": only_with_hosts(3),
    "nginx.upstream_fail_timeout": only_with_hosts(10),
    NEXT: only_with_hosts(["error", "timeout"]),
    "nginx.proxy_next_upstream_tries": [
        (NGINX | {NEXT: ["error", "timeout"]}, 2),
        (NGINX | {NEXT: ["off"]}, SILENT),
    ],
    "nginx.proxy_next_upstream_timeout": [
        (
            NGINX | {"nginx.proxy_next_upstream_tries": tries, "nginx.proxy_connect_timeout": wait},
            expected,
        )
        for tries, wait, expected in [(2, 3, 6), (3, 5, 15), (0, 5, 5), (100, 86400, 86400)]
    ],
}
