"""Grids that were measured, kept between runs: one file a case, app, machine and versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor import files
from benchmarks.regret import launch, services
from benchmarks.regret.points import Point

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.regret.apps import Case
    from benchmarks.regret.points import Config

PACKAGES = ("gunicorn", "uvicorn", "uvicorn-worker", "uvloop", "httptools", "fastapi", "flask")


class Cache:
    """The points of one case. A point is written as soon as it is measured."""

    def __init__(self, case: Case) -> None:
        self.path = folder() / f"grid-{case.slug}-{key(case)}.json"
        self.points: dict[Config, Point] = {}
        if self.path.is_file():
            points = (Point.of(row) for row in files.load(self.path))
            self.points = {point.config: point for point in points}

    def through(self, measure: Callable[[Config], Point]) -> Callable[[Config], Point]:
        """`measure`, asked only for what is not there yet."""

        def measured(config: Config) -> Point:
            if config not in self.points:
                self.points[config] = measure(config)
                rows = [point.as_data() for point in self.points.values()]
                files.write_atomic(self.path, json.dumps(rows, indent=1).encode())
            return self.points[config]

        return measured


def folder() -> Path:
    """Where grids are kept; made if need be."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "advisor-benchmarks"
    path.mkdir(parents=True, exist_ok=True)
    return path


def key(case: Case) -> str:
    """What a grid depends on, as a digest: the case, its source, the load, machine, versions."""
    asked = case.service
    scripts = (
        case.folder / f"{case.module.partition(':')[0]}.py",
        *([asked.script] if asked else []),
    )
    digests = [hashlib.sha256(script.read_bytes()).hexdigest() for script in scripts]
    parts = (
        [*digests, *([*asked.arguments, services.NICE] if asked else [])],
        [case.interface, case.module, case.route, case.memory_bytes, case.cpus, case.connections],
        [launch.CONNECTIONS, launch.WARM_S, launch.LOAD_S, launch.SERVED, launch.SITE],
        [machine(), platform.python_version(), launch.versions()],
        [version(package) for package in PACKAGES],
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def machine() -> str:
    """The CPU's model, how many there are, and the memory in whole GB."""
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    model = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")
    return f"{model.strip()} x {os.cpu_count()}, {psutil.virtual_memory().total >> 30} GB"
