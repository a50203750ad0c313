"""An app on its one core: what the probe said of it, and what is predicted from that."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.host import gather
from advisor.intent import Intent
from advisor.probe import Allowed, probe
from advisor.recommend import recommend
from benchmarks.prediction.rows import Row, value
from benchmarks.regret.launch import SERVED, started
from benchmarks.regret.points import UVICORN_WORKER, Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Facts, Measurement, Outlook, Server
    from benchmarks.pace import Pace
    from benchmarks.prediction.rows import Load
    from benchmarks.regret.apps import Case

APP_CPU, OTHER_CPU = 0, 1
CONNECTIONS = 64
# Of the core: below it mean response has to be right.
MODEST = 0.6
# How each app is measured, and what is predicted beside our own pick.
ONE, TWO, FOUR, EIGHT = (Config(UVICORN_WORKER, count) for count in (1, 2, 4, 8))
SYNC = {count: Config("sync", count) for count in (1, 2, 8, 16)}
THREADED = Config("gthread", 1, 64), Config("gthread", 2, 32)
TRIED: dict[str, tuple[Config, ...]] = {
    "async computing": (ONE, TWO),
    "async waiting": (ONE, TWO),
    "async mixed": (ONE, TWO),
    "loop blocked by sleep": (ONE, FOUR, EIGHT),
    "loop held by CPU": (ONE, TWO),
    "def routes, 40 tokens": (ONE, TWO),
    "a pool of 5": (ONE, TWO),
    "slow downstream": (ONE,),
    "sync waiting": (SYNC[2], SYNC[8], SYNC[16], *THREADED),
    "sync computing": (SYNC[1], SYNC[2]),
    "150 MB in 900 MB": (SYNC[1], SYNC[2]),
}


@dataclass(frozen=True)
class Known:
    """What was found and measured of an app on its one core."""

    case: Case
    facts: Facts
    seen: Measurement
    server: Server
    piece_s: float

    def chosen(self) -> Config:
        """What `recommend` says for many requests in flight."""
        made = recommend(
            self.facts, self.seen, None, server=self.server, concurrency=CONNECTIONS, cpus=1
        )
        said = {setting.id: setting.value for setting in made.settings}
        name, workers, threads = (
            said[f"gunicorn.{what}"] for what in ("worker_class", "workers", "threads")
        )
        return Config(str(name), int(str(workers)), int(str(threads)))

    def predicted(self, config: Config, connections: int, slower: float = 1.0) -> Outlook:
        """What it prints for a configuration with so many requests in flight.

        With `slower`, had a request taken that many times the CPU when it was measured.
        """
        pins = {"gunicorn.worker_class": config.worker_class, "gunicorn.workers": config.workers}
        if config.worker_class == "gthread":
            pins["gunicorn.threads"] = config.threads
        app = {"module": f"{self.case.module}:app", "interface": self.case.interface}
        intent = Intent.model_validate({"app": app, "pins": pins})
        made = recommend(
            self.facts,
            slowed(self.seen, slower),
            intent,
            server=self.server,
            concurrency=connections,
            cpus=1,
        )
        return made.prediction

    def row(self, load: Load) -> Row:
        """A load beside what is predicted for it."""
        paced, unpaced = (
            self.predicted(load.config, load.connections, slower) for slower in (load.slower, 1.0)
        )
        return Row(self.case.name, load, paced, unpaced)

    def modest(self, config: Config) -> int:
        """The most connections that are predicted to keep the core under `MODEST`, at least 1."""
        cpu = self.seen.cpu_per_request_s
        for connections in (32, 16, 8, 4, 2):
            rate = value(self.predicted(config, connections).throughput_rps)
            if cpu and rate * cpu.value <= MODEST:
                return connections
        return 1


def slowed(seen: Measurement, factor: float) -> Measurement:
    """The measurement, had a request taken `factor` times the CPU."""
    cpu = seen.cpu_per_request_s
    if cpu is None:
        return seen
    times = {name: getattr(cpu, name) * factor for name in ("value", "low", "high")}
    return seen.model_copy(update={"cpu_per_request_s": cpu.model_copy(update=times)})


@contextmanager
def on_its_core(case: Case, config: Config) -> Iterator[tuple[int, int]]:
    """The app on one core, and what is started inside the `with` on the other."""
    os.sched_setaffinity(0, {APP_CPU})
    with started(case, config, SERVED) as (pid, port):
        os.sched_setaffinity(0, {OTHER_CPU})
        yield pid, port


def measured(case: Case, pieces: Pace) -> Known:
    """The app under one worker, probed from the other core."""
    with on_its_core(case, TRIED[case.name][0]) as (pid, port):
        began = time.monotonic()
        seen = probe(
            f"http://127.0.0.1:{port}{case.route}",
            pid=pid,
            allowed=Allowed(classes=True),
            on_progress=lambda _line: None,
        )
        piece_s = pieces.during(began, time.monotonic())
        facts = gather(pid)
        server = next(each for each in facts.servers if each.pid == pid)
        return Known(case, facts, seen, server, piece_s)
