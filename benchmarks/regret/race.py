"""Ours from one probe of a naive launch, and whole launches raced in turn."""

from __future__ import annotations

import math
import random
import statistics
import time
from dataclasses import dataclass
from operator import truediv
from typing import TYPE_CHECKING

from advisor import files
from advisor.documents import Facts, Measurement, Recommendation
from advisor.errors import InvalidInput
from advisor.host import gather
from advisor.intent import Intent
from advisor.probe import Allowed, probe
from advisor.recommend import recommend
from advisor.selection import servers_for
from benchmarks.regret.formulas import naive
from benchmarks.regret.launch import CONNECTIONS, started
from benchmarks.regret.points import SLACK, Config, levelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from benchmarks.regret.apps import Case
    from benchmarks.regret.points import Point

# Medians of fewer launches say nothing.
LEAST_ROUNDS = 2


@dataclass(frozen=True)
class Advice:
    """What the advisor saw and said of a case; `took_s` is from the URL to the recommendation."""

    facts: Facts
    measurement: Measurement
    recommendation: Recommendation
    took_s: float

    @property
    def config(self) -> Config:
        """What it says to launch."""
        values = {setting.id: setting.value for setting in self.recommendation.settings}
        name, workers, threads = (
            values.get(f"gunicorn.{what}") for what in ("worker_class", "workers", "threads")
        )
        if not isinstance(name, str) or not isinstance(workers, int):
            raise InvalidInput("the recommendation has no worker class, or no workers")
        return Config(name, workers, threads if isinstance(threads, int) else 1)

    def keep(self, folder: Path, case: Case) -> None:
        """Write the three documents into `folder`."""
        for document in (self.facts, self.measurement, self.recommendation):
            files.write_document(document, _path(folder, case, type(document)))


def _path(folder: Path, case: Case, kind: type) -> Path:
    return folder / f"{case.slug}.{kind.__name__.lower()}.json"


def advise(case: Case) -> Advice:
    """Launch it naively, and do what `advisor recommend URL --concurrency 64` does."""
    with started(case, naive(case.interface)) as (_pid, port):
        url = f"http://127.0.0.1:{port}{case.route}"
        began = time.perf_counter()
        measurement = probe(url, allowed=Allowed(classes=True), on_progress=lambda _line: None)
        facts = gather()
        (server,) = servers_for(facts, measurement, None, pid=None, single=True)
        if server is not None:
            facts = gather(server.pid)
        said = counsel(case, facts, measurement)
        return Advice(facts, measurement, said, time.perf_counter() - began)


def replay(case: Case, folder: Path) -> Advice:
    """The same from documents that were kept; `InvalidInput` where there are none."""
    facts = files.read(Facts, _path(folder, case, Facts))
    measurement = files.read(Measurement, _path(folder, case, Measurement))
    began = time.perf_counter()
    said = counsel(case, facts, measurement)
    return Advice(
        facts, measurement, said, measurement.cost.duration_s + time.perf_counter() - began
    )


def counsel(case: Case, facts: Facts, measurement: Measurement) -> Recommendation:
    """The recommendation for a case, under its budget."""
    (server,) = servers_for(facts, measurement, None, pid=None, single=True)
    return recommend(
        facts,
        measurement,
        _intent(case),
        server=server,
        concurrency=CONNECTIONS,
        memory_bytes=case.memory_bytes,
    )


def _intent(case: Case) -> Intent | None:
    """An advisor.yml where the case has what the command line cannot say."""
    if case.connections is None:
        return None
    wanted = {
        "app": {"name": case.module, "module": f"{case.module}:app", "interface": case.interface},
        "database": {"max_connections": case.connections},
    }
    return files.validate(Intent, wanted, name=case.name)


class Race:
    """Ours and its rivals, that are launched in turns: each once a round, in another order.

    Launches of one configuration differ by more than most configurations do. `measure` gives what
    each load of one launch gave.
    """

    def __init__(
        self, configs: Iterable[Config], measure: Callable[[Config], Sequence[Point]]
    ) -> None:
        self.launched: dict[Config, list[Point]] = {config: [] for config in configs}
        self.rounds = 0
        self.took_s = 0.0
        self._measure = measure

    def round(self) -> None:
        """Launch each of them once more."""
        began, order = time.monotonic(), list(self.launched)
        random.shuffle(order)
        for config in order:
            self.launched[config].extend(self._measure(config))
        self.rounds += 1
        self.took_s += time.monotonic() - began

    @property
    def doubt(self) -> float:
        """The standard error of what decides: the first configuration's rate over its best rival's.

        Of the logarithms of both, brought to one speed. Others that serve less may differ from
        launch to launch as they like.
        """
        if self.rounds < LEAST_ROUNDS:
            return math.inf
        level = levelled(self.launched).values()
        ours, *rivals = ([max(each.rps, 1e-3) for each in row] for row in level)
        if not rivals:
            return 0.0
        best = max(rivals, key=statistics.median)
        ratios = [math.log(each) for each in map(truediv, ours, best)]
        return statistics.stdev(ratios) / math.sqrt(len(ratios))


def settle(races: Sequence[Race], *, ends: float) -> None:
    """Go on with the race whose launches leave most in doubt, until `ends` (monotonic seconds).

    And until no doubt is left that matters: half of what two configurations may differ by and
    still be as good.
    """
    while True:
        left = ends - time.monotonic()
        open_ = [
            each for each in races if each.doubt > SLACK / 2 and each.took_s / each.rounds <= left
        ]
        if not open_:
            return
        max(open_, key=lambda each: each.doubt).round()
