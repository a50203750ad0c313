"""What nginx's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.shared import COMPUTING, MIB, NGINX, NO_PROXY, SILENT, WAITING, plan

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.upstream_keepalive": [
        (NGINX | plan(WAITING) | {"gunicorn.worker_class": "gthread"}, 64),
        (NGINX | plan(COMPUTING) | {"gunicorn.worker_class": "sync"}, SILENT),
        (NO_PROXY | plan(WAITING) | {"gunicorn.worker_class": "gthread"}, SILENT),
    ],
    "nginx.upstream_keepalive_timeout": [({"nginx.upstream_keepalive": 64}, 60)],
    "nginx.proxy_connect_timeout": [(NGINX, 5), (NO_PROXY, SILENT)],
    "nginx.proxy_read_timeout": [
        (NGINX | {"gunicorn.timeout": 30}, 60),
        (NGINX | {"gunicorn.timeout": 90}, 100),
        (NO_PROXY | {"gunicorn.timeout": 30}, SILENT),
    ],
    "nginx.proxy_send_timeout": [(NGINX, 60), (NO_PROXY, SILENT)],
    "nginx.proxy_buffering": [
        (NGINX | {"gunicorn.worker_class": "sync"}, True),
        (NO_PROXY | {"gunicorn.worker_class": "sync"}, SILENT),
    ],
    "nginx.client_max_body_size": [
        (NGINX | {"limits.request_body": 10 * MIB}, 10 * MIB),
        (NGINX, SILENT),
        (NO_PROXY | {"limits.request_body": 10 * MIB}, SILENT),
    ],
}
CONSTANT = {"nginx.upstream_keepalive_timeout"}
