"""What gunicorn's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from advisor.documents import Limiter
from tests.rules.cases.shared import ASYNC, COMPUTING, SILENT, UNMEASURED, WAITING, measured, plan

Cases = list[tuple[dict[str, Any], Any]]

HERE = {"server": "gunicorn"}
ELSEWHERE = {"server": "uvicorn"}
LOOP = "uvicorn_worker.UvicornWorker"
BLOCKED = Limiter(verdict="event-loop-blocked", confidence=0.9, why="A test.", evidence={})


def of(worker_class: str, **seen: Any) -> dict[str, Any]:
    given = {key.replace("__", "."): value for key, value in seen.items()}
    return HERE | {"gunicorn.worker_class": worker_class} | given


def connections(worker_class: str, threads: int, concurrency: int) -> dict[str, Any]:
    return of(worker_class, gunicorn__threads=threads, plan__concurrency=concurrency)


TIMES: dict[str, Cases] = {
    "gunicorn.timeout": [
        (of("sync"), 30),
        (of("sync", latency_s__p99=measured(0.2)), 30),
        # 4 x 22 s, up to the next ten.
        (of("sync", latency_s__p99=measured(20)), 90),
        # A slow request is no silent worker, unless it holds the loop.
        (of("gthread", latency_s__p99=measured(20)), 30),
        (of(LOOP, latency_s__p99=measured(20)), 30),
        (of(LOOP, latency_s__p99=measured(20), limiter=BLOCKED), 90),
        (of("asgi"), 30),
        (ELSEWHERE | {"gunicorn.worker_class": "sync"}, SILENT),
    ],
    "gunicorn.graceful_timeout": [
        (of("sync", gunicorn__timeout=30), 30),
        (of("sync", gunicorn__timeout=90), 90),
        (of("sync", gunicorn__timeout=1), 30),
        (of("sync", gunicorn__timeout=3600), 300),
        (of("gthread", gunicorn__timeout=30, latency_s__p99=measured(20)), 90),
        (of(LOOP, gunicorn__timeout=30), 30),
        # It waits for idle connections too.
        (of("asgi", gunicorn__timeout=30), 10),
        (of("asgi", gunicorn__timeout=30, latency_s__p99=measured(20)), 90),
        (of("asgi", gunicorn__timeout=30, latency_s__p99=measured(200)), 300),
        (of("sync", gunicorn__timeout=30) | ELSEWHERE, SILENT),
    ],
    "gunicorn.keepalive": [
        *(
            (of(name, proxy="nginx", nginx__upstream_keepalive_timeout=pooled), expected)
            for name, pooled, expected in [
                (LOOP, 60, 75),
                ("gthread", 100, 115),
                ("asgi", None, 75),
                ("gevent", 60, 75),
                ("sync", 60, SILENT),
                # No server takes more than a day.
                ("gthread", 86400, 86400),
            ]
        ),
        (of("gthread", proxy="caddy", caddy__upstream_keepalive_idle=90), 105),
        (of("gthread", proxy="caddy"), 135),
        (of("gthread", proxy="none"), 5),
        (of("gthread", proxy="none", hosts=["10.0.0.11:8000", "10.0.0.12:8000"]), 75),
        (of(LOOP, proxy="nginx", nginx__upstream_keepalive_timeout=60) | ELSEWHERE, SILENT),
    ],
}
QUEUES: dict[str, Cases] = {
    "gunicorn.worker_connections": [
        (connections("gthread", 64, 64), 1000),
        (connections("gthread", 200, 600), 1400),
        (connections("gevent", 1, 600), 1200),
        (connections("gevent", 1, 500), 1000),
        (connections("sync", 1, 600), SILENT),
        (connections("asgi", 1, 600), SILENT),
        (connections(LOOP, 1, 600), SILENT),
        (connections("gthread", 64, 64) | ELSEWHERE, SILENT),
    ],
    "gunicorn.backlog": [
        (HERE | {"kernel.somaxconn": 4096}, 2048),
        (HERE | {"kernel.somaxconn": 128}, 128),
        (of("asgi", kernel__somaxconn=4096), 2048),
        (HERE, 2048),
        (ELSEWHERE | {"kernel.somaxconn": 4096}, SILENT),
    ],
    "gunicorn.reuse_port": [
        (of("sync"), False),
        (of("gthread"), False),
        (of("sync") | ELSEWHERE, SILENT),
    ],
}
WORKERS: dict[str, Cases] = {
    "gunicorn.max_requests": [
        (HERE | plan(WAITING), 0),
        (HERE | plan(WAITING) | {"memory_growth_bytes_per_request": measured(100, spread=1.5)}, 0),
        # 1 GiB less (20 + 2 x 37.9) x 1.1 = 105 MiB, at 110 bytes a request, in two digits.
        (HERE | plan(WAITING) | {"memory_growth_bytes_per_request": measured(100)}, 8_700_000),
        (HERE | plan(WAITING, 0) | {"memory_growth_bytes_per_request": measured(100)}, 1000),
        (ELSEWHERE | plan(WAITING), SILENT),
    ],
    "gunicorn.max_requests_jitter": [
        (HERE | {"gunicorn.max_requests": 0}, 0),
        (HERE | {"gunicorn.max_requests": 5000}, 500),
        (HERE | {"gunicorn.max_requests": 3}, 1),
        (ELSEWHERE | {"gunicorn.max_requests": 5000}, SILENT),
    ],
    "gunicorn.worker_tmp_dir": [
        (HERE | {"host.os": "Debian GNU/Linux 12"}, "/dev/shm"),
        (HERE, "/dev/shm"),
        (ELSEWHERE, SILENT),
    ],
    "gunicorn.control_socket_disable": [
        (HERE | {"can.gunicorn.control_socket": True}, True),
        (HERE | {"can.gunicorn.control_socket": False}, SILENT),
        # Not known: older ones refuse it.
        (HERE, None),
        (ELSEWHERE | {"can.gunicorn.control_socket": True}, SILENT),
    ],
    "gunicorn.preload_app": [
        (HERE | {"app.interface": "asgi"}, False),
        (HERE | {"app.interface": "wsgi"}, False),
        (ELSEWHERE | {"app.interface": "asgi"}, SILENT),
    ],
    "gunicorn.asgi_loop": [
        (of("asgi"), "auto"),
        (of("asgi", components__uvloop__version="0.22.1"), "auto"),
        (of(LOOP, components__uvloop__version="0.22.1"), SILENT),
        (of("asgi") | ELSEWHERE, SILENT),
    ],
}
JOINT: dict[str, Cases] = {
    "gunicorn.workers": [
        (HERE | plan(WAITING), 1),
        (HERE | plan(COMPUTING), 2),
        (HERE | plan(UNMEASURED), 2),
        (ELSEWHERE | plan(WAITING), SILENT),
    ],
    "gunicorn.worker_class": [
        (HERE | plan(WAITING), "gthread"),
        (HERE | plan(COMPUTING), "sync"),
        (HERE | plan(ASYNC), "uvicorn_worker.UvicornWorker"),
        (ELSEWHERE | plan(WAITING), SILENT),
    ],
    "gunicorn.threads": [
        (HERE | plan(WAITING), 64),
        (HERE | plan(COMPUTING), 1),
        (HERE | plan(UNMEASURED), 8),
        (ELSEWHERE | plan(WAITING), SILENT),
    ],
}
CASES = JOINT | TIMES | QUEUES | WORKERS
