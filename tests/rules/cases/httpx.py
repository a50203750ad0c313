"""What httpx's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.model.classes import GTHREAD, SYNC, UVICORN_WORKER
from tests.rules.cases.shared import SILENT, measured
from tests.rules.plans import limited, serving

HTTPX = {"components.httpx.version": "0.28.1"}
LOOP = serving(UVICORN_WORKER, 2, rps=500)
MANY = serving(UVICORN_WORKER, 2, concurrency=512, rps=500)
# 250/s, 20 ms each, over 2 workers: 2.5 at once in each.
DOWNSTREAM = (
    serving(UVICORN_WORKER, 2, rps=250)
    | limited("downstream")
    | {"wait_per_request_s": measured(0.02)}
)
FULL = {"httpx.max_connections": 100}

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "httpx.max_connections": [
        (LOOP | HTTPX, 100),
        (MANY | HTTPX, 256),
        (serving(SYNC, 2, concurrency=512, rps=500) | HTTPX, 100),
        (serving(GTHREAD, 1, 128, concurrency=512, rps=500) | HTTPX, 128),
        (DOWNSTREAM, 6),
        (DOWNSTREAM | HTTPX, 6),
        (DOWNSTREAM | {"wait_per_request_s": None}, 100),
        (LOOP | limited("cpu"), SILENT),
        (serving(UVICORN_WORKER, 2) | HTTPX, SILENT),
    ],
    "httpx.max_keepalive_connections": [
        (LOOP | HTTPX | FULL, 32),
        (serving(SYNC, 2, rps=500) | HTTPX | FULL, 20),
        (MANY | HTTPX | {"httpx.max_connections": 256}, 256),
        (DOWNSTREAM | {"httpx.max_connections": 6}, 6),
        (LOOP | FULL, SILENT),
    ],
    "httpx.keepalive_expiry": [
        (LOOP | HTTPX | FULL, 5),
        (LOOP | HTTPX | FULL | {"targets.rate_rps": 50}, 5),
        # One request in 20 s for each of two workers.
        (LOOP | HTTPX | FULL | {"targets.rate_rps": 0.1}, 30),
        (LOOP | FULL, SILENT),
    ],
    "httpx.timeout": [
        (LOOP | HTTPX | {"latency_s.p99": measured(0.1)}, 5),
        # 4 x 3.3 s, the high end of the interval.
        (LOOP | HTTPX | {"latency_s.p99": measured(3)}, 14),
        (LOOP | HTTPX | {"latency_s.p99": measured(3), "nginx.proxy_read_timeout": 20}, 10),
        (LOOP | HTTPX | {"latency_s.p99": measured(3), "nginx.proxy_read_timeout": 1}, 1),
        (LOOP | HTTPX | {"latency_s.p99": measured(1e9)}, 3600),
        (LOOP | {"latency_s.p99": measured(3)}, SILENT),
    ],
}
