"""What gunicorn's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.shared import ASYNC, COMPUTING, SILENT, UNMEASURED, WAITING, measured, plan

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "gunicorn.workers": [(plan(WAITING), 1), (plan(COMPUTING), 2), (plan(UNMEASURED), 2)],
    "gunicorn.worker_class": [
        (plan(WAITING), "gthread"),
        (plan(COMPUTING), "sync"),
        (plan(ASYNC), "uvicorn_worker.UvicornWorker"),
    ],
    "gunicorn.threads": [(plan(WAITING), 64), (plan(COMPUTING), 1), (plan(UNMEASURED), 8)],
    "gunicorn.timeout": [
        ({"gunicorn.worker_class": "sync"}, 30),
        ({"gunicorn.worker_class": "sync", "latency_s.p99": measured(0.2)}, 30),
        # 4 x 22 s, up to the next ten.
        ({"gunicorn.worker_class": "sync", "latency_s.p99": measured(20)}, 90),
    ],
    "gunicorn.graceful_timeout": [
        ({"gunicorn.timeout": 30}, 30),
        ({"gunicorn.timeout": 90}, 90),
        ({"gunicorn.timeout": 1}, 30),
        ({"gunicorn.timeout": 3600}, 300),
    ],
    "gunicorn.keepalive": [
        (
            {
                "gunicorn.worker_class": worker_class,
                "nginx.upstream_keepalive": 64,
                "nginx.upstream_keepalive_timeout": idle,
            },
            expected,
        )
        for worker_class, idle, expected in [
            ("uvicorn_worker.UvicornWorker", 60, 75),
            ("gthread", 100, 115),
            ("sync", 60, SILENT),
        ]
    ],
    "gunicorn.backlog": [
        ({"kernel.somaxconn": 4096}, 2048),
        ({"kernel.somaxconn": 128}, 128),
        ({}, 2048),
    ],
    "gunicorn.max_requests": [
        (plan(WAITING), 0),
        (plan(WAITING) | {"memory_growth_bytes_per_request": measured(100, spread=1.5)}, 0),
        # 1 GiB less (20 + 2 x 37.9) x 1.1 = 105 MiB, at 110 bytes a request, in two digits.
        (plan(WAITING) | {"memory_growth_bytes_per_request": measured(100)}, 8_700_000),
        (plan(WAITING, 0) | {"memory_growth_bytes_per_request": measured(100)}, 1000),
    ],
    "gunicorn.max_requests_jitter": [
        ({"gunicorn.max_requests": 0}, 0),
        ({"gunicorn.max_requests": 5000}, 500),
        ({"gunicorn.max_requests": 3}, 1),
    ],
    "gunicorn.worker_tmp_dir": [({"host.os": "Debian GNU/Linux 12"}, "/dev/shm"), ({}, "/dev/shm")],
    "gunicorn.control_socket_disable": [
        ({"components.gunicorn.version": version}, expected)
        for version, expected in [
            ("27.0.1", True),
            ("25.1.0", True),
            ("25.0.3", SILENT),
            ("20.1.0", SILENT),
            ("unheard", SILENT),
        ]
    ],
    "gunicorn.preload_app": [
        ({"app.interface": "asgi"}, False),
        ({"app.interface": "wsgi"}, False),
    ],
}
CONSTANT = {"gunicorn.preload_app", "gunicorn.worker_tmp_dir"}
