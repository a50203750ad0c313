"""What systemd's rules say for which evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from advisor.model.sharing import share
from tests.rules.cases.shared import BASIS, MIB, SILENT, WAITING, plan


def shaped(kind: str, workers: int = 2, threads: int = 1, concurrency: int = 64) -> dict[str, Any]:
    return {
        "plan.kind": kind,
        "plan.workers": workers,
        "plan.threads": threads,
        "plan.concurrency": concurrency,
    }


def booting(seconds: float, workers: int = 4, cores: float = 2) -> dict[str, Any]:
    """Workers that compute for so many seconds each before they serve."""
    inputs = {"boot_cpu_s": seconds, "cpu.effective": cores}
    return {"plan.workers": workers, "plan.basis": replace(BASIS, inputs=inputs)}


def served_by(server: str, **settings: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return {"server": server, **named}


KNOWS = {"can.systemd.oom_policy": True}

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
    "systemd.cpu_weight": [
        ({"shares": share(2, 1024 * MIB, {}, MIB)}, SILENT),
        ({"shares": share(2, 1024 * MIB, {"celery": "io"}, MIB)}, SILENT),
        ({"shares": share(2, 1024 * MIB, {"celery": "cpu"}, MIB)}, 100),
    ],
    "systemd.cpu_quota": [
        ({"budget.cpus": 2}, 200),
        ({"budget.cpus": 0.25}, 25),
        ({"budget.cpus": 0.001}, 1),
    ],
    "systemd.tasks_max": [
        # 2 x 2 x (1 + 2) + 16 = 28, far below the least.
        (shaped("one") | {"cpu.logical": 2}, 256),
        # 2 x 2 x (1 + 64 + 2) + 16 = 284, twice that, up to a power of two.
        (shaped("threads", threads=64) | {"cpu.logical": 2}, 1024),
        # 2 x 2 x (1 + 64 + 6 + 2) + 16 = 308.
        (shaped("loop") | {"cpu.logical": 2}, 1024),
        # Without the CPUs, 32 of them: 2 x 2 x (1 + 64 + 32 + 32) + 16 = 532.
        (shaped("loop"), 2048),
        # 2 x 2 x (1 + 300 + 6 + 2) + 16 = 1,252.
        (shaped("loop") | {"cpu.logical": 2, "anyio.tokens": 300}, 4096),
        (shaped("loop", workers=16, concurrency=1000) | {"cpu.logical": 16}, 131072),
    ],
    "systemd.limit_nofile": [
        (shaped("threads", threads=64), 4096),
        (shaped("threads", threads=1024), 4096),
        (shaped("one"), 1024),
        (shaped("loop", concurrency=64), 4096),
        (shaped("loop", concurrency=5000), 16384),
        (shaped("threads", threads=64) | {"gunicorn.worker_connections": 4000}, 16384),
    ],
    "systemd.timeout_start_sec": [
        (booting(0.5), 90),
        # Four workers of 15 s on two CPUs: 30 s, four times.
        (booting(15), 120),
        ({"plan.workers": 4, "plan.basis": BASIS}, 90),
    ],
    "systemd.timeout_stop_sec": [
        (served_by("gunicorn", gunicorn__graceful_timeout=30), 40),
        (served_by("gunicorn", gunicorn__graceful_timeout=90), 100),
        (served_by("uvicorn", uvicorn__timeout_graceful_shutdown=30), 40),
        (served_by("hypercorn", hypercorn__graceful_timeout=2.5), 13),
        (served_by("granian", granian__workers_kill_timeout=60), 70),
        # Another server's time is not this one's.
        (served_by("uvicorn", gunicorn__graceful_timeout=30), None),
        (served_by("granian"), None),
    ],
    "systemd.restart_sec": [(booting(0.5), 3), (booting(3.2), 7), (booting(0.5, workers=1), 3)],
    "systemd.oom_policy": [
        (served_by("gunicorn") | KNOWS, "continue"),
        (served_by("uvicorn") | KNOWS, "continue"),
        (served_by("hypercorn") | KNOWS, "stop"),
        (served_by("granian") | KNOWS, "stop"),
        (served_by("granian", granian__respawn_failed_workers=True) | KNOWS, "continue"),
        (served_by("gunicorn") | {"can.systemd.oom_policy": False}, None),
        (served_by("gunicorn"), None),
    ],
    "systemd.socket_backlog": [
        (served_by("gunicorn", gunicorn__backlog=2048), 2048),
        (served_by("gunicorn", gunicorn__backlog=128), 128),
        (served_by("uvicorn", uvicorn__backlog=4096), 4096),
        (served_by("hypercorn", hypercorn__backlog=100), 100),
        (served_by("uvicorn", gunicorn__backlog=128), SILENT),
        (served_by("granian", granian__backlog=1024), SILENT),
    ],
    "systemd.memory_deny_write_execute": [({}, None)],
    "systemd.proc_subset": [({}, None)],
}
CONSTANT = {"systemd.memory_deny_write_execute", "systemd.proc_subset"}
