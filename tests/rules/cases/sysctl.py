"""What the kernel's rules say for which evidence."""

from __future__ import annotations

from typing import Any

from tests.rules.cases.shared import ASYNC, COMPUTING, SILENT, plan

PORTS = [32768, 60999]
WIDE = [16384, 65535]


def outgoing(**changes: Any) -> dict[str, Any]:
    """A sync app of some 6,000 requests/s behind nginx over TCP."""
    return plan(COMPUTING) | {
        "kernel.ip_local_port_range": PORTS,
        "proxy": "nginx",
        "listen": "127.0.0.1:8000",
        "plan.kind": "one",
        **{name.replace("__", "."): value for name, value in changes.items()},
    }


def queue(present: int, concurrency: int = 64, **backlogs: int) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in backlogs.items()}
    return {
        "kernel.somaxconn": present,
        "kernel.tcp_max_syn_backlog": present,
        "plan.concurrency": concurrency,
        **named,
    }


QUEUES = [
    (queue(4096), SILENT),
    (queue(2048), SILENT),
    (queue(128), 2048),
    (queue(128, concurrency=5000), 8192),
    # What is already cut to the present value asks for no more; a pin does.
    (queue(128, gunicorn__backlog=128), 2048),
    (queue(4096, gunicorn__backlog=10000), 16384),
    (queue(4096, systemd__socket_backlog=5000, uvicorn__backlog=2048), 8192),
    (queue(65535, hypercorn__backlog=100), SILENT),
]


def files(present: int, limit: int, workers: int) -> dict[str, Any]:
    return {
        "kernel.file_max": present,
        "systemd.limit_nofile": limit,
        "plan.workers": workers,
    }


def moving(present: int, proxy: str = "caddy") -> dict[str, Any]:
    return {"kernel.tcp_migrate_req": present, "proxy": proxy}


CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "sysctl.somaxconn": QUEUES,
    "sysctl.tcp_max_syn_backlog": QUEUES,
    "sysctl.ip_local_port_range": [
        (outgoing(), WIDE),
        (outgoing(proxy="caddy"), WIDE),
        (outgoing(proxy="none"), SILENT),
        (outgoing(listen="unix"), SILENT),
        (outgoing(listen="unix", hosts=["10.0.0.11:8000"]), WIDE),
        # Kept connections: one port each, and not one for each request.
        (outgoing(plan=ASYNC, plan__kind="loop"), SILENT),
        # Half of 28,232 ports are 235 requests/s; the plan's own throughput counts as well.
        (outgoing(kernel__ip_local_port_range=[1024, 65535]), SILENT),
        (outgoing(kernel__ip_local_port_range=[20000, 65535]), WIDE),
        (outgoing(kernel__ip_local_port_range=[10000, 20000]), [10000, 65535]),
    ],
    "sysctl.tcp_fin_timeout": [
        ({"kernel.tcp_fin_timeout_s": 60}, SILENT),
        ({"kernel.tcp_fin_timeout_s": 120}, SILENT),
        ({"kernel.tcp_fin_timeout_s": 15}, 60),
        # What a file of ours has raised is said again, and never lowered.
        (
            {
                "kernel.tcp_fin_timeout_s": 120,
                "kernel.set_by_advisor": ["net.ipv4.tcp_fin_timeout"],
            },
            120,
        ),
    ],
    "sysctl.tcp_migrate_req": [
        (moving(0), 1),
        (moving(1), SILENT),
        (moving(0, proxy="nginx"), SILENT),
        (moving(1) | {"kernel.set_by_advisor": ["net.ipv4.tcp_migrate_req"]}, 1),
    ],
    "sysctl.file_max": [
        (files(2**63 - 1, 4096, 2), SILENT),
        # 2 x 4,096 x (2 x 2 + 1) = 40,960.
        (files(50_000, 4096, 2), 65_536),
        (files(65_536, 4096, 2), SILENT),
        (files(50_000, 1024, 1), SILENT),
    ],
}
