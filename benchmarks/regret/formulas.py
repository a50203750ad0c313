"""What people use today instead of a measurement, as published. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.regret.points import UVICORN_WORKER, Config

if TYPE_CHECKING:
    from benchmarks.regret.apps import Case

MIB = 1024**2
# More workers than connections only boot: Passenger's formula has no other bound on a large host.
MOST = 64


def naive(interface: str) -> Config:
    """How the app runs before anybody has thought: two workers of the usual class."""
    return Config(UVICORN_WORKER if interface == "asgi" else "sync", 2)


def picks(case: Case, *, cores: int, ram_bytes: int, worker_rss_bytes: int) -> dict[str, Config]:
    """The configuration that each formula gives, by its name.

    They count the machine's cores, as their authors' programs do, and take the case's memory
    budget for the RAM where it has one.

    - 2n+1: Gunicorn's documentation, "How Many Workers?".
    - image: tiangolo/uvicorn-gunicorn, one worker a core and at least two; ASGI only.
    - Heroku: the Python buildpack's WEB_CONCURRENCY, 256 MB a worker and at most 2n+1.
    - Passenger: its server optimisation guide, 0.75 x RAM over the RAM of a process.
    - fastapi: `fastapi run`, one worker; ASGI only.
    """
    usual = naive(case.interface).worker_class
    ram = case.memory_bytes or ram_bytes
    counts = {
        "2n+1": 2 * cores + 1,
        "image": max(cores, 2),
        "Heroku": min(2 * cores + 1, ram // (256 * MIB)),
        "Passenger": min(MOST, ram * 3 // (4 * worker_rss_bytes)),
        "fastapi": 1,
    }
    only_asgi = {"image", "fastapi"} if case.interface == "wsgi" else set()
    return {
        name: Config(usual, max(1, count))
        for name, count in counts.items()
        if name not in only_asgi
    }
