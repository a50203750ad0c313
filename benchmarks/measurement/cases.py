"""The apps whose limiter is known, and how each is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APPS = Path(__file__).parents[2] / "tests" / "apps"


@dataclass(frozen=True)
class Case:
    """An app, how it is started, and what is known of it; `wait_s` where it is exact."""

    name: str
    command: str
    route: str
    verdicts: tuple[str, ...]
    wait_s: float | None = None
    # About where the probe finds the knee: for the half of the reference that comes before it.
    connections: int = 64


UVICORN = "uvicorn asgi_app:app --log-level warning --workers"
CASES = (
    Case("async computing", f"{UVICORN} 2", "/compute", ("cpu",), 0.0, connections=32),
    Case("async waiting", f"{UVICORN} 2", "/wait", ("cpu",), 0.020, connections=64),
    Case("async mixed", f"{UVICORN} 2", "/mixed", ("cpu",), 0.005, connections=64),
    Case("async, one worker", f"{UVICORN} 1", "/compute", ("concurrency",), 0.0, connections=16),
    Case(
        "loop blocked by sleep",
        f"{UVICORN} 2",
        "/blocked",
        ("event-loop-blocked",),
        0.020,
        connections=8,
    ),
    Case(
        "loop blocked by a socket",
        f"{UVICORN} 2",
        "/blocked-socket",
        ("event-loop-blocked",),
        connections=8,
    ),
    Case("loop held by CPU", f"{UVICORN} 2", "/blocked-cpu", ("cpu",), 0.0, connections=16),
    Case(
        "def routes, 40 tokens",
        f"{UVICORN} 1",
        "/threads",
        ("concurrency",),
        0.050,
        connections=128,
    ),
    Case("a pool of 5", f"{UVICORN} 1", "/pool", ("concurrency",), 0.020, connections=16),
    Case("slow downstream", f"{UVICORN} 1", "/downstream", ("downstream",), connections=16),
    Case("leaking", f"{UVICORN} 2", "/leak", ("cpu",), 0.0, connections=32),
    Case(
        "sync waiting",
        "gunicorn wsgi_app:app -w 5",
        "/wait",
        ("concurrency",),
        0.020,
        connections=16,
    ),
    Case("sync computing", "gunicorn wsgi_app:app -w 3", "/compute", ("cpu",), 0.0, connections=16),
    Case(
        "gthread",
        "gunicorn wsgi_app:app -w 2 --threads 4",
        "/wait",
        ("concurrency",),
        0.020,
        connections=32,
    ),
    Case("holds 150 MB", "gunicorn heavy_app:app -w 2", "/compute", ("cpu",), 0.0, connections=16),
)
