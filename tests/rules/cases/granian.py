"""What granian's rules say for which evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from advisor.evidence import Basis
from tests.rules.cases.shared import (
    BASIS,
    COMPUTING,
    INPUTS,
    NGINX,
    NO_PROXY,
    SILENT,
    WAITING,
    measured,
    plan,
)

Cases = list[tuple[dict[str, Any], Any]]

HERE = {"server": "granian"}
ELSEWHERE = {"server": "hypercorn"}
LEAK = {"memory_growth_bytes_per_request": measured(100)}
FAST_LEAK = {"memory_growth_bytes_per_request": measured(1_000_000)}
RSS = "can.granian.workers_max_rss"
LIFE = "can.granian.workers_lifetime"
HEADER = "can.granian.http1_header_read_timeout"
NOT_MEASURED = replace(WAITING, throughput=None)


def boot(cpu_s: float) -> dict[str, Any]:
    """A worker that takes so many CPU seconds to boot."""
    return {"plan.basis": Basis("high", INPUTS | {"boot_cpu_s": cpu_s}, "--memory")}


def load(workers: int, concurrency: int, backlog: int = 2048, **more: int) -> dict[str, Any]:
    return {
        "plan.workers": workers,
        "plan.concurrency": concurrency,
        "granian.backlog": backlog,
        "cpu.logical": 4,
        **{key.replace("__", "."): value for key, value in more.items()},
    }


NETWORK: dict[str, Cases] = {
    "granian.runtime_threads": [
        (HERE | {"plan.kind": "loop"}, 1),
        (HERE | {"plan.kind": "threads"}, 1),
        (ELSEWHERE | {"plan.kind": "loop"}, SILENT),
    ],
    "granian.runtime_mode": [(HERE, "auto"), (ELSEWHERE, SILENT)],
    "granian.blocking_threads": [
        (HERE | {"app.interface": "wsgi", "plan.threads": 64, "plan.basis": BASIS}, 64),
        (HERE | {"app.interface": "asgi", "plan.threads": 1, "plan.basis": BASIS}, SILENT),
        (ELSEWHERE | {"app.interface": "wsgi", "plan.threads": 64, "plan.basis": BASIS}, SILENT),
    ],
    "granian.backlog": [
        (HERE | {"kernel.somaxconn": 4096}, 2048),
        (HERE | {"kernel.somaxconn": 512}, 512),
        # It refuses to start with less.
        (HERE | {"kernel.somaxconn": 64}, 128),
        (HERE, 2048),
        (ELSEWHERE, SILENT),
    ],
    "granian.backpressure": [
        (HERE | load(2, 64), 1024),
        (HERE | load(16, 64), 128),
        (HERE | load(16, 128), 256),
        # Each of nginx's four workers keeps 64 idle ones.
        (HERE | load(16, 128, nginx__upstream_keepalive=64), 384),
        (ELSEWHERE | load(2, 64), SILENT),
    ],
    "granian.loop": [
        (HERE | {"components.uvloop.version": "0.22.1"}, "auto"),
        (HERE, "auto"),
        (ELSEWHERE, SILENT),
    ],
    "granian.http": [(HERE | NGINX, "1"), (HERE | NO_PROXY, "auto"), (ELSEWHERE | NGINX, SILENT)],
    "granian.http1_header_read_timeout": [
        (HERE | NGINX | {"nginx.upstream_keepalive_timeout": 20, HEADER: True}, 30_000),
        (HERE | NGINX | {"nginx.upstream_keepalive_timeout": 45, HEADER: True}, 55_000),
        # The most it takes; the order across the two is then broken, and found.
        (HERE | {"proxy": "caddy", HEADER: True}, 60_000),
        (HERE | NGINX | {"nginx.upstream_keepalive_timeout": 45, HEADER: False}, SILENT),
        (HERE | NGINX | {"nginx.upstream_keepalive_timeout": 45}, None),
        (HERE | NO_PROXY, 30_000),
        (ELSEWHERE | NGINX, SILENT),
    ],
}
WORKERS: dict[str, Cases] = {
    "granian.workers": [(HERE | plan(COMPUTING), 2), (ELSEWHERE | plan(COMPUTING), SILENT)],
    "granian.respawn_failed_workers": [
        (HERE | {"can.granian.respawn_failed_workers": True}, True),
        (HERE | {"can.granian.respawn_failed_workers": False}, SILENT),
        (HERE, None),
        (ELSEWHERE | {"can.granian.respawn_failed_workers": True}, SILENT),
    ],
    "granian.respawn_interval": [
        (HERE | boot(0.5), 3.5),
        (HERE | {"plan.basis": BASIS}, 3.5),
        (HERE | boot(2.1), 9),
        (ELSEWHERE | boot(2.1), SILENT),
    ],
    "granian.workers_kill_timeout": [
        (HERE | {"can.granian.workers_kill_timeout": True}, 30),
        (HERE | {"can.granian.workers_kill_timeout": True, "latency_s.p99": measured(20)}, 90),
        (HERE | {"can.granian.workers_kill_timeout": False}, SILENT),
        (HERE, None),
        (ELSEWHERE | {"can.granian.workers_kill_timeout": True}, SILENT),
    ],
    "granian.workers_max_rss": [
        (HERE | plan(WAITING) | {RSS: True}, None),
        # The worker's own 58 MiB and what the budget leaves: 919 MiB.
        (HERE | plan(WAITING) | LEAK | {RSS: True}, 977),
        # Nothing is left: it may still serve a thousand requests.
        (HERE | plan(WAITING, 0) | FAST_LEAK | {RSS: True}, 1107),
        (HERE | plan(WAITING) | LEAK | {RSS: False}, SILENT),
        (HERE | plan(WAITING) | LEAK, None),
        (ELSEWHERE | plan(WAITING) | LEAK | {RSS: True}, SILENT),
    ],
    "granian.workers_lifetime": [
        (HERE | plan(WAITING) | LEAK | {RSS: False, LIFE: True}, 4900),
        (HERE | plan(WAITING, 0) | FAST_LEAK | {RSS: False, LIFE: True}, 60),
        (HERE | plan(WAITING) | LEAK | {RSS: True, LIFE: True}, SILENT),
        (HERE | plan(WAITING) | LEAK | {LIFE: True}, SILENT),
        (HERE | plan(WAITING) | LEAK | {RSS: False, LIFE: False}, SILENT),
        (HERE | plan(WAITING) | {RSS: False, LIFE: True}, SILENT),
        (HERE | plan(NOT_MEASURED) | LEAK | {RSS: False, LIFE: True}, SILENT),
        (ELSEWHERE | plan(WAITING) | LEAK | {RSS: False, LIFE: True}, SILENT),
    ],
}
CASES = NETWORK | WORKERS
