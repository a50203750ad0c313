"""What uvicorn's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.evidence import Basis
from tests.rules.cases.shared import COMPUTING, INPUTS, SILENT, WAITING, measured, plan

Cases = list[tuple[dict[str, Any], Any]]

HERE = {"server": "uvicorn"}
ELSEWHERE = {"server": "gunicorn"}
LEAK = {"memory_growth_bytes_per_request": measured(100)}
CHECK = "can.uvicorn.timeout_worker_healthcheck"
GRACE = {"can.uvicorn.timeout_graceful_shutdown": True}
JITTER = "can.uvicorn.limit_max_requests_jitter"
ROUTES = {"routes": {"/ws": "websocket", "/events": "stream"}}
FOUND = {"components.uvicorn.version": "0.54.0"}


def boot(cpu_s: float | None, workers: int = 2) -> dict[str, Any]:
    """A worker that takes so many CPU seconds to boot."""
    known = {} if cpu_s is None else {"boot_cpu_s": cpu_s}
    return {"plan.workers": workers, "plan.basis": Basis("high", INPUTS | known, "--memory")}


CASES: dict[str, Cases] = {
    "uvicorn.workers": [(HERE | plan(COMPUTING), 2), (ELSEWHERE | plan(COMPUTING), SILENT)],
    "uvicorn.timeout_keep_alive": [
        (HERE | {"proxy": "nginx", "nginx.upstream_keepalive_timeout": 60}, 75),
        (HERE | {"proxy": "caddy", "caddy.upstream_keepalive_idle": 60}, 75),
        (HERE | {"proxy": "none"}, 5),
        (ELSEWHERE | {"proxy": "nginx"}, SILENT),
    ],
    "uvicorn.timeout_graceful_shutdown": [
        (HERE | GRACE, 30),
        (HERE | GRACE | {"latency_s.p99": measured(20)}, 90),
        (HERE | GRACE | {"latency_s.p99": measured(1000)}, 300),
        (HERE, None),
        (HERE | {"can.uvicorn.timeout_graceful_shutdown": False}, SILENT),
        (ELSEWHERE | GRACE, SILENT),
    ],
    "uvicorn.timeout_worker_healthcheck": [
        (HERE | boot(0.5) | {CHECK: True}, None),
        (HERE | boot(None) | {CHECK: True}, None),
        (HERE | boot(2.1) | {CHECK: True}, 9),
        (HERE | boot(2.1) | {CHECK: False}, SILENT),
        (HERE | boot(2.1), None),
        # One worker has nobody to ask after it.
        (HERE | boot(2.1, workers=1) | {CHECK: True}, SILENT),
        (ELSEWHERE | boot(2.1) | {CHECK: True}, SILENT),
    ],
    "uvicorn.limit_concurrency": [
        (HERE | {"proxy": "nginx"}, None),
        (HERE | {"proxy": "none"}, None),
        (ELSEWHERE | {"proxy": "nginx"}, SILENT),
    ],
    "uvicorn.backlog": [
        (HERE | {"kernel.somaxconn": 4096}, 2048),
        (HERE | {"kernel.somaxconn": 128}, 128),
        (HERE, 2048),
        (ELSEWHERE, SILENT),
    ],
    "uvicorn.loop": [
        (HERE | {"components.uvloop.version": "0.22.1"}, "auto"),
        (HERE, "auto"),
        (ELSEWHERE, SILENT),
    ],
    "uvicorn.http": [
        (HERE | {"components.httptools.version": "0.9.0"}, "auto"),
        (HERE, "auto"),
        (ELSEWHERE, SILENT),
    ],
    "uvicorn.ws": [
        (HERE | ROUTES | FOUND | {"components.websockets.version": "15.0"}, "auto"),
        (HERE | ROUTES | FOUND | {"components.wsproto.version": "1.2.0"}, "auto"),
        (HERE | ROUTES | FOUND, "auto"),
        (HERE | ROUTES, "auto"),
        (HERE | {"routes": {"/events": "stream"}}, SILENT),
        (HERE, SILENT),
        (ELSEWHERE | ROUTES, SILENT),
    ],
    "uvicorn.limit_max_requests": [
        (HERE | plan(COMPUTING), None),
        # 1 GiB less (20 + 4 x 30) x 1.1 = 154 MiB, for each of two at 110 bytes a request.
        (HERE | plan(COMPUTING) | LEAK, 4_100_000),
        (HERE | plan(COMPUTING, 0) | LEAK, 1000),
        # The server would stop with its only worker.
        (HERE | plan(WAITING) | LEAK, None),
        (ELSEWHERE | plan(COMPUTING) | LEAK, SILENT),
    ],
    "uvicorn.limit_max_requests_jitter": [
        (HERE | {"uvicorn.limit_max_requests": 5000, JITTER: True}, 500),
        (HERE | {"uvicorn.limit_max_requests": 5, JITTER: True}, 1),
        (HERE | {"uvicorn.limit_max_requests": 5000, JITTER: False}, SILENT),
        (HERE | {"uvicorn.limit_max_requests": 5000}, None),
        (ELSEWHERE | {"uvicorn.limit_max_requests": 5000, JITTER: True}, SILENT),
    ],
}
