"""What nginx's rules about the app behind it say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Cacheable, HttpFacts
from tests.rules.cases.shared import NGINX, NO_PROXY, SILENT, measured

KIB = 1024
HOSTS = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000", "10.0.0.13:8000"]}
ONE_HOST = {"hosts": ["10.0.0.11:8000"]}
ROUTES = {"routes": {"/ws": "websocket", "/events": "stream", "/search": {"microcache": "2s"}}}
CACHED = {"routes": {"/search": {"microcache": "2s"}, "/a": {"microcache": "30s"}}}
OLD, NEW = False, True


def fact(path: str = "/items", **changes: Any) -> HttpFacts:
    """A route of 18,211 bytes that gzip makes a fifth of."""
    given = {
        "path": path,
        "status": 200,
        "content_type": "application/json",
        "bytes": 18211,
        "compressed": False,
        "compressible_ratio": 0.21,
        "stable": True,
        "microcache": Cacheable(value=True, why="GET, no cookie, same body over 5 requests"),
    }
    return HttpFacts(**(given | changes))


def http(*facts: HttpFacts) -> dict[str, Any]:
    return {"http": list(facts)}


def serving(kind: str, concurrency: int = 64) -> dict[str, Any]:
    return {"plan.kind": kind, "plan.concurrency": concurrency}


KEPT = NGINX | {"nginx.upstream_keepalive": 64}
BEFORE_1_15_3 = {"can.nginx.upstream_keepalive_timeout": OLD}

# How long either proxy waits for an answer, by server and what was measured.
PATIENCE: list[tuple[dict[str, Any], Any]] = [
    ({"server": "gunicorn", "gunicorn.timeout": 30}, 60),
    ({"server": "gunicorn", "gunicorn.timeout": 90}, 100),
    ({"server": "gunicorn", "gunicorn.timeout": 86400}, 86400),
    # Only sync holds a request to its timeout: 4 x 44 s.
    ({"server": "gunicorn", "gunicorn.timeout": 30, "latency_s.p99": measured(40)}, 180),
    ({"server": "uvicorn"}, 60),
    ({"server": "uvicorn", "latency_s.p99": measured(0.2)}, 60),
    # 4 x 22 s, up to the next ten.
    ({"server": "granian", "latency_s.p99": measured(20)}, 90),
    ({"server": "hypercorn", "latency_s.p99": measured(1e6)}, 86400),
]

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "nginx.upstream_keepalive": [
        (NGINX | serving("threads"), 64),
        (NGINX | serving("loop", 1024), 256),
        (NGINX | serving("loop", 2), 16),
        (NGINX | serving("loop", 20) | HOSTS, 60),
        (NGINX | serving("loop", 64) | {"hosts": ["10.0.0.1:80"] * 200}, 400),
        (NGINX | serving("one"), SILENT),
        (NO_PROXY | serving("threads"), SILENT),
    ],
    "nginx.upstream_keepalive_timeout": [
        (KEPT | {"server": "gunicorn"}, 60),
        (KEPT | {"server": "uvicorn", "can.nginx.upstream_keepalive_timeout": NEW}, 60),
        (KEPT | {"server": "granian"}, 20),
        (KEPT | {"server": "gunicorn"} | BEFORE_1_15_3, None),
    ],
    "nginx.upstream_keepalive_requests": [(KEPT, 1000), (KEPT | BEFORE_1_15_3, None)],
    "nginx.proxy_connect_timeout": [
        (NGINX, 5),
        (NGINX | ONE_HOST, 5),
        (NGINX | HOSTS, 3),
        (NO_PROXY, SILENT),
    ],
    "nginx.proxy_read_timeout": [
        *((NGINX | seen, expected) for seen, expected in PATIENCE),
        (NO_PROXY | {"server": "gunicorn", "gunicorn.timeout": 30}, SILENT),
    ],
    "nginx.proxy_send_timeout": [(NGINX, 60), (NO_PROXY, SILENT)],
    "nginx.proxy_buffering": [
        (NGINX | serving("one"), True),
        (NGINX | serving("loop"), True),
        (NO_PROXY | serving("one"), SILENT),
    ],
    "nginx.proxy_request_buffering": [
        (NGINX | serving("threads"), True),
        (NO_PROXY | serving("threads"), SILENT),
    ],
    "nginx.proxy_buffers": [
        (NGINX, SILENT),
        (NGINX | http(fact()), SILENT),
        (NGINX | http(fact(bytes=32 * KIB)), SILENT),
        # 100 KiB take seven of 16 KiB, one more for the head.
        (NGINX | http(fact(), fact("/big", bytes=100 * KIB)), [8, 16384]),
        (NGINX | http(fact(bytes=300 * KIB)), [20, 16384]),
        (NGINX | http(fact(bytes=50 * KIB * KIB)), [32, 16384]),
        (NO_PROXY | http(fact(bytes=300 * KIB)), SILENT),
    ],
    "nginx.proxy_buffer_size": [
        (NGINX | {"nginx.proxy_buffers": [8, 16384]}, 16384),
        (NGINX | {"nginx.proxy_buffers": [4, 32768]}, 32768),
    ],
    "nginx.websocket_read_timeout": [
        (NGINX | ROUTES, 3600),
        (NGINX | CACHED, SILENT),
        (NGINX | {"routes": {}}, SILENT),
        (NO_PROXY | ROUTES, SILENT),
    ],
    "nginx.stream_read_timeout": [
        (NGINX | ROUTES, 3600),
        (NGINX | CACHED, SILENT),
        (NO_PROXY | ROUTES, SILENT),
    ],
    "nginx.stream_buffering": [
        (NGINX | ROUTES, False),
        (NGINX | {"routes": {"/ws": "websocket"}}, SILENT),
        (NO_PROXY | ROUTES, SILENT),
    ],
}
