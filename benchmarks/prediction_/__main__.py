"""Does the model predict? The app on one core, wrk and nginx on another, against what is printed.

    python -m benchmarks.prediction [--runs N] [APP ...]

Each app is started naively, measured once, and then run as recommended and in two other
configurations of its class. A prediction is what `recommend` prints with that configuration
pinned, for so many requests in flight; wrk has as many connections. Mean response is N / X.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.demo.processes import referee
from advisor.host import gather
from advisor.intent import Intent
from advisor.probe import probe
from advisor.recommend import recommend
from benchmarks.regret.apps import CASES as APPS
from benchmarks.regret.launch import SERVED, holdings, proxied, started, tree
from benchmarks.regret.points import UVICORN_WORKER, Config
from benchmarks.regret.services import services
from benchmarks.scheduler import one_scheduler_group
from benchmarks.table import Figure, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Facts, Measurement, Outlook, Prediction, Server
    from benchmarks.regret.apps import Case

APP_CPU, OTHER_CPU = 0, 1
CONNECTIONS = 64
# Of the core: below it mean response has to be right.
MODEST = 0.6
# How long each load lasts: at least as many answers a connection as `ROUNDS`, or those under way
# at its end would be a large part of it.
SECONDS, MOST_SECONDS, ROUNDS = 4, 20, 12
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
class Row:
    """One configuration at one load: what was predicted and what was seen."""

    case: str
    config: Config
    connections: int
    predicted: Outlook
    rps: float
    pss: int
    modest: bool

    @property
    def throughput(self) -> float:
        """Predicted over measured."""
        return _value(self.predicted.throughput_rps) / self.rps

    @property
    def response(self) -> float:
        """Predicted mean response over the measured one, N / X."""
        return _value(self.predicted.latency_p50_s) / (self.connections / self.rps)

    @property
    def memory(self) -> float:
        """Predicted PSS over the measured one."""
        return _value(self.predicted.memory_bytes) / self.pss

    @property
    def held(self) -> list[bool]:
        """Whether each printed interval holds what was seen."""
        pairs = (
            (self.predicted.throughput_rps, self.rps),
            (self.predicted.latency_p50_s, self.connections / self.rps),
            (self.predicted.memory_bytes, self.pss),
        )
        return [each.low <= seen <= each.high for each, seen in pairs if each is not None]

    def text(self) -> str:
        """The row as a line of the table."""
        flags = "".join("." if each else "X" for each in self.held)
        return (
            f"  {self.case:<24} {self.config!s:<18} {self.connections:>3} "
            f"{self.rps:>8,.0f}/s {self.throughput:>6.2f} {self.response:>6.2f} "
            f"{self.memory:>6.2f}  {flags}{'  modest' if self.modest else ''}"
        )


def _value(prediction: Prediction | None) -> float:
    return prediction.value if prediction else float("nan")


@dataclass(frozen=True)
class Known:
    """What was found and measured of an app on its one core."""

    case: Case
    facts: Facts
    seen: Measurement
    server: Server

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

    def predicted(self, config: Config, connections: int) -> Outlook:
        """What it prints for a configuration with so many requests in flight."""
        pins = {"gunicorn.worker_class": config.worker_class, "gunicorn.workers": config.workers}
        if config.worker_class == "gthread":
            pins["gunicorn.threads"] = config.threads
        app = {"module": f"{self.case.module}:app", "interface": self.case.interface}
        intent = Intent.model_validate({"app": app, "pins": pins})
        made = recommend(
            self.facts, self.seen, intent, server=self.server, concurrency=connections, cpus=1
        )
        return made.prediction

    def modest(self, config: Config) -> int:
        """The most connections that are predicted to keep the core under `MODEST`, at least 1."""
        cpu = self.seen.cpu_per_request_s
        for connections in (32, 16, 8, 4, 2):
            rate = _value(self.predicted(config, connections).throughput_rps)
            if cpu and rate * cpu.value <= MODEST:
                return connections
        return 1


@contextmanager
def on_its_core(case: Case, config: Config) -> Iterator[tuple[int, int]]:
    """The app on one core, and what is started inside the `with` on the other."""
    os.sched_setaffinity(0, {APP_CPU})
    with started(case, config, SERVED) as (pid, port):
        os.sched_setaffinity(0, {OTHER_CPU})
        yield pid, port


def measured(case: Case) -> Known:
    """The app under one worker, probed from the other core."""
    with on_its_core(case, TRIED[case.name][0]) as (pid, port):
        seen = probe(
            f"http://127.0.0.1:{port}{case.route}", pid=pid, on_progress=lambda _line: None
        )
        facts = gather(pid)
        server = next(each for each in facts.servers if each.pid == pid)
        return Known(case, facts, seen, server)


def rows_of(case: Case) -> list[Row]:
    """Measure once; then run each configuration at many and at few connections."""
    known = measured(case)
    rows = []
    for config in dict.fromkeys([known.chosen(), *TRIED[case.name]]):
        few = known.modest(config)
        with (
            on_its_core(case, config) as (pid, port),
            tempfile.TemporaryDirectory() as stage,
            proxied(port, Path(stage), case.route) as url,
        ):
            referee(url, seconds=1, connections=CONNECTIONS)
            for connections in sorted({CONNECTIONS, few}):
                outlook = known.predicted(config, connections)
                response_s = connections / _value(outlook.throughput_rps)
                seconds = math.ceil(min(MOST_SECONDS, max(SECONDS, ROUNDS * response_s)))
                score = referee(url, seconds=seconds, connections=connections)
                pss = sum(each.pss_bytes for each in holdings(tree(pid)))
                modest = connections == few
                row = Row(case.name, config, connections, outlook, score.rps, pss, modest=modest)
                rows.append(row)
                print(row.text(), flush=True)
    return rows


def summary(rows: list[Row]) -> list[Figure]:
    """What issue and README hold the model to."""
    names = dict.fromkeys(row.case for row in rows)

    def over_apps(errors: list[tuple[str, float]]) -> float:
        means = [
            statistics.fmean(error for name, error in errors if name == wanted)
            for wanted in names
            if any(name == wanted for name, _ in errors)
        ]
        return statistics.fmean(means)

    held = [each for row in rows for each in row.held]
    return [
        Figure(
            "throughput: mean error over apps",
            over_apps([(r.case, abs(r.throughput - 1)) for r in rows]),
            "",
            most=0.1,
        ),
        Figure(
            "mean response below 70 %: mean error",
            over_apps([(r.case, abs(r.response - 1)) for r in rows if r.modest]),
            "",
            most=0.2,
        ),
        Figure(
            "PSS: mean error",
            over_apps([(r.case, abs(r.memory - 1)) for r in rows]),
            "",
            most=0.1,
        ),
        Figure("printed intervals that hold", statistics.fmean(held), "", least=0.9),
    ]


def main() -> int:
    """Print every configuration and the summary; 1 where something misses its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("apps", nargs="*")
    wanted = parser.parse_args()
    if (os.cpu_count() or 1) < 2:
        print("not run: needs two cores")
        return 1
    print(f"  {'app':<24} {'configuration':<18} conn      seen   rate   resp    PSS  held")
    rows: list[Row] = []
    with services(), one_scheduler_group():
        for _ in range(wanted.runs):
            for case in APPS:
                if case.name in TRIED and (not wanted.apps or case.name in wanted.apps):
                    rows += rows_of(case)
    return 0 if show("\nOver all configurations", summary(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
