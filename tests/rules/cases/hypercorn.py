"""What hypercorn's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.shared import COMPUTING, SILENT, WAITING, measured, plan

HERE = {"server": "hypercorn"}
ELSEWHERE = {"server": "granian"}
LEAK = {"memory_growth_bytes_per_request": measured(100)}
GRACE = {"can.hypercorn.graceful_timeout": True}
RENEWS = "can.hypercorn.max_requests"
PINGS = "can.hypercorn.websocket_ping_interval"
UVLOOP = {"components.uvloop.version": "0.22.1"}
ROUTES = {"routes": {"/ws": "websocket"}}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "hypercorn.workers": [(HERE | plan(COMPUTING), 2), (ELSEWHERE | plan(COMPUTING), SILENT)],
    "hypercorn.keep_alive_timeout": [
        (HERE | {"proxy": "nginx", "nginx.upstream_keepalive_timeout": 60}, 75),
        (HERE | {"proxy": "caddy"}, 135),
        (HERE | {"proxy": "none"}, 5),
        (ELSEWHERE | {"proxy": "nginx"}, SILENT),
    ],
    "hypercorn.graceful_timeout": [
        (HERE | GRACE, 30),
        (HERE | GRACE | {"latency_s.p99": measured(20)}, 90),
        (HERE, None),
        (HERE | {"can.hypercorn.graceful_timeout": False}, SILENT),
        (ELSEWHERE | GRACE, SILENT),
    ],
    "hypercorn.backlog": [
        (HERE | {"kernel.somaxconn": 4096}, 2048),
        (HERE | {"kernel.somaxconn": 128}, 128),
        (HERE, 2048),
        (ELSEWHERE, SILENT),
    ],
    "hypercorn.worker_class": [
        (HERE, "asyncio"),
        (HERE | UVLOOP | {"can.hypercorn.uvloop_factory": True}, "uvloop"),
        (HERE | UVLOOP | {"can.hypercorn.uvloop_factory": False}, "asyncio"),
        (HERE | UVLOOP, "asyncio"),
        (ELSEWHERE, SILENT),
    ],
    "hypercorn.max_requests": [
        (HERE | plan(WAITING) | {RENEWS: True}, None),
        (HERE | plan(WAITING) | LEAK | {RENEWS: True}, 8_700_000),
        (HERE | plan(WAITING) | LEAK | {RENEWS: False}, SILENT),
        (HERE | plan(WAITING) | LEAK, None),
        (ELSEWHERE | plan(WAITING) | LEAK, SILENT),
    ],
    "hypercorn.max_requests_jitter": [
        (HERE | {"hypercorn.max_requests": 5000}, 500),
        (HERE | {"hypercorn.max_requests": 3}, 1),
        (ELSEWHERE | {"hypercorn.max_requests": 5000}, SILENT),
    ],
    "hypercorn.websocket_ping_interval": [
        (HERE | ROUTES | {PINGS: True}, 20),
        (HERE | ROUTES | {PINGS: False}, SILENT),
        (HERE | ROUTES, None),
        (HERE | {"routes": {"/events": "stream"}, PINGS: True}, SILENT),
        (ELSEWHERE | ROUTES | {PINGS: True}, SILENT),
    ],
}
