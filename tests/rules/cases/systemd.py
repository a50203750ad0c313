"""What systemd's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.shared import COMPUTING, MIB, WAITING, plan

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "systemd.memory_max": [
        (plan(WAITING), 1024 * MIB),
        (plan(WAITING, 300 * MIB + 5), 300 * MIB),
        # Never below what is needed, up to the next page.
        (plan(WAITING, 1), -(-WAITING.needed_bytes // 4096) * 4096),
    ],
    "systemd.memory_high": [
        (plan(WAITING) | {"systemd.memory_max": 1000 * MIB}, 900 * MIB),
        (plan(WAITING) | {"systemd.memory_max": 40 * MIB}, 40 * MIB),
    ],
    "systemd.limit_nofile": [
        (plan(WAITING) | {"gunicorn.worker_class": "gthread", "gunicorn.threads": 64}, 4096),
        (plan(WAITING) | {"gunicorn.worker_class": "gthread", "gunicorn.threads": 1024}, 4096),
        (plan(COMPUTING) | {"gunicorn.worker_class": "sync", "gunicorn.threads": 1}, 1024),
    ],
    "systemd.timeout_stop_sec": [
        ({"gunicorn.graceful_timeout": 30}, 40),
        ({"gunicorn.graceful_timeout": 90}, 100),
    ],
    "systemd.socket_backlog": [
        ({"gunicorn.backlog": 2048}, 2048),
        ({"gunicorn.backlog": 128}, 128),
    ],
}
