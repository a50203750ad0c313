"""What Caddy's rules about the app behind it say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.nginx import (
    CACHED,
    HOSTS,
    KIB,
    NEW,
    OLD,
    PATIENCE,
    ROUTES,
    fact,
    http,
    serving,
)
from tests.rules.cases.shared import MIB, NGINX, SILENT

CADDY = {"proxy": "caddy"}
KEPT = CADDY | {"caddy.upstream_keepalive": 64}
BOUNDED = {"can.caddy.request_buffers": NEW}
STREAMS = "can.caddy.stream_close_delay"


def buffering(expected: Any) -> list[tuple[dict[str, Any], Any]]:
    return [
        (CADDY | serving("one") | BOUNDED, expected),
        (CADDY | serving("threads") | BOUNDED, expected),
        (CADDY | serving("threads") | {"can.caddy.request_buffers": OLD}, None),
        (CADDY | serving("threads"), None),
        (CADDY | serving("loop") | BOUNDED, SILENT),
        (NGINX | serving("one") | BOUNDED, SILENT),
    ]


def long_lived(expected: int) -> list[tuple[dict[str, Any], Any]]:
    return [
        (CADDY | ROUTES | {STREAMS: NEW}, expected),
        (CADDY | {"routes": {"/events": "stream"}, STREAMS: NEW}, expected),
        (CADDY | ROUTES | {STREAMS: OLD}, None),
        (CADDY | ROUTES, None),
        (CADDY | CACHED | {STREAMS: NEW}, SILENT),
        (NGINX | ROUTES | {STREAMS: NEW}, SILENT),
    ]


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "caddy.upstream_keepalive": [
        (CADDY | serving("threads"), 64),
        (CADDY | serving("loop", 2), 32),
        (CADDY | serving("loop", 1024), 256),
        (CADDY | serving("one"), SILENT),
        (NGINX | serving("loop"), SILENT),
    ],
    "caddy.upstream_keepalive_idle": [
        (KEPT | {"server": "gunicorn"}, 60),
        (KEPT | {"server": "granian"}, 20),
        (KEPT | NGINX | {"server": "granian"}, SILENT),
    ],
    "caddy.dial_timeout": [(CADDY, 3), (CADDY | HOSTS, 3), (NGINX, SILENT)],
    "caddy.response_header_timeout": [
        *((CADDY | seen, expected) for seen, expected in PATIENCE),
        (NGINX | {"server": "uvicorn"}, SILENT),
    ],
    "caddy.read_timeout": [(CADDY, None), (NGINX, SILENT)],
    "caddy.write_timeout": [(CADDY, 60), (NGINX, SILENT)],
    "caddy.request_buffers": [
        *buffering(MIB),
        (CADDY | serving("one") | BOUNDED | {"limits.request_body": 10 * MIB}, MIB),
        (CADDY | serving("one") | BOUNDED | {"limits.request_body": 9000}, 9000),
    ],
    "caddy.response_buffers": [
        *buffering(64 * KIB),
        (CADDY | serving("one") | BOUNDED | http(fact()), 64 * KIB),
        (CADDY | serving("one") | BOUNDED | http(fact(bytes=100_001)), 100 * KIB),
        (CADDY | serving("one") | BOUNDED | http(fact(bytes=9 * MIB)), MIB),
    ],
    "caddy.stream_flush_interval": [
        (CADDY | ROUTES, None),
        (CADDY | {"routes": {"/ws": "websocket"}}, SILENT),
        (NGINX | ROUTES, SILENT),
    ],
    "caddy.stream_close_delay": long_lived(300),
    "caddy.stream_timeout": long_lived(86400),
    "caddy.grace_period": [
        (CADDY | {"caddy.response_header_timeout": wait}, expected)
        for wait, expected in [(60, 60), (5, 30), (3600, 300)]
    ],
}
