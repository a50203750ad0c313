"""Which configurations are launched, and where a pick stands beside the best."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import AdvisorError
from benchmarks.regret import table
from benchmarks.regret.apps import CASES, MIB, Case
from benchmarks.regret.cache import Cache
from benchmarks.regret.grid import SIZES, finalists, finished, lines, search
from benchmarks.regret.judge import judge, standings
from benchmarks.regret.points import UVICORN_WORKER, Config, Point, levelled, middle, serves
from benchmarks.regret.race import Race, settle

if TYPE_CHECKING:
    from pathlib import Path

ASYNC = Case("async", "asgi", "m", "/")
SYNC = Case("sync", "wsgi", "m", "/")
SMALL = Case("small", "wsgi", "m", "/", memory_bytes=500 * MIB)
FEW = Case("few", "wsgi", "m", "/", connections=30)


def point(
    config: Config,
    rps: float,
    *,
    busy: float = 0.5,
    failed: float = 0.0,
    worker_mb: int = 50,
    piece_s: float = 0.001,
) -> Point:
    """As measured, with a master of 20 MB."""
    held = config.workers * worker_mb * MIB
    return Point(
        config=config,
        rps=rps,
        p99_s=0.1,
        failed_ratio=failed,
        busy_ratio=busy,
        pss_bytes=20 * MIB + held,
        needed_bytes=20 * MIB + 2 * held,
        rss_bytes=worker_mb * MIB,
        piece_s=piece_s,
    )


def sync(workers: int, rps: float, *, busy: float = 0.5, failed: float = 0.0) -> Point:
    return point(Config("sync", workers), rps, busy=busy, failed=failed)


@pytest.mark.parametrize(
    ("rates", "busy", "over"),
    [
        ([], 0.5, False),
        ([100, 200, 400], 0.99, False),  # it grows
        ([100, 200, 190], 0.99, False),  # one launch without a gain proves nothing
        ([100, 200, 190, 195], 0.99, True),
        ([100, 200, 190, 195], 0.6, False),  # there is CPU left
        ([100, 200, 190, 195, 201], 0.6, True),
        ([100, 200, 190, 260, 250], 0.99, False),
    ],
)
def test_a_line_ends_where_more_does_not_help(
    rates: list[float], busy: float, *, over: bool
) -> None:
    seen = [sync(size, rate, busy=busy) for size, rate in zip(SIZES, rates, strict=False)]
    assert finished(seen, SYNC) is over


@pytest.mark.parametrize(
    ("case", "last", "over"),
    [
        (SMALL, sync(4, 100), False),  # 20 + 2 x 4 x 50 of 500 MB
        (SMALL, sync(5, 100), True),
        (FEW, sync(15, 100), False),  # 2 x 15 connections
        (FEW, sync(16, 100), True),
        (FEW, point(Config("gthread", 2, 8), 100), True),
        (FEW, sync(2, 100, failed=0.2), True),
        (SYNC, sync(2, 100, failed=0.2), False),  # more workers may mend it
    ],
)
def test_a_line_ends_beyond_the_budget(case: Case, last: Point, *, over: bool) -> None:
    assert finished([last], case) is over


def test_a_search_asks_for_what_may_help_only() -> None:
    def launched(config: Config) -> Point:
        rate = 1000 * min(config.workers, 2) * (0.9 if config.worker_class == "asgi" else 1)
        return point(config, rate, busy=min(1.0, config.workers / 2))

    found = list(search(ASYNC, launched))
    assert [str(each.config) for each in found] == [
        *(f"UvicornWorker {size}" for size in (1, 2, 3, 4)),
        *(f"asgi {size}" for size in (1, 2, 3, 4)),
    ]


def test_every_line_grows_and_none_holds_a_configuration_twice() -> None:
    for interface in ("asgi", "wsgi"):
        every = [config for line in lines(interface) for config in line]
        assert len(set(every)) == len(every)
        for line in lines(interface):
            slots = [config.workers * config.threads for config in line]
            assert slots == sorted(slots)


def test_the_finalists_are_the_best_three_and_the_smallest_as_good() -> None:
    points = [sync(n, rate) for n, rate in [(1, 50), (2, 98.5), (3, 99), (4, 99.5), (5, 100)]]
    assert [config.workers for config in finalists(points, SYNC)] == [5, 4, 3, 2]
    assert [config.workers for config in finalists(points, SMALL)] == [4, 3, 2]


def test_what_fails_is_no_finalist() -> None:
    assert finalists([sync(1, 50), sync(2, 500, failed=0.02)], SYNC) == [Config("sync", 1)]


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=5))
def test_the_middle_lies_between_its_launches(rates: list[float]) -> None:
    seen = middle([sync(2, rate) for rate in rates])
    assert min(rates) <= seen.rps <= max(rates)
    assert seen.config == Config("sync", 2)


def test_the_middle_forgets_no_failure_and_no_surge() -> None:
    launches = [sync(2, 10, failed=0.5), sync(2, 10), replace(sync(2, 10), needed_bytes=10**9)]
    assert middle(launches).failed_ratio == 0.5
    assert middle(launches).needed_bytes == 10**9
    assert not serves(middle(launches), SYNC)


GRID = [sync(1, 500), sync(2, 1000), sync(3, 990), sync(5, 800)]
FORMULAS = {"2n+1": Config("sync", 5), "Heroku": Config("sync", 3)}


def test_without_a_race_the_grid_judges() -> None:
    row = judge(SYNC, GRID, {}, ours=Config("sync", 3), took_s=20, formulas=FORMULAS)
    assert (row.share, row.best, row.kept) == (0.99, Config("sync", 2), True)
    assert row.memory_ratio == pytest.approx(170 / 120)
    assert {name: each.share for name, each in row.shares.items()} == {"2n+1": 0.8, "Heroku": 0.99}


def test_the_race_has_the_last_word() -> None:
    raced = {
        Config("sync", 2): [sync(2, 600), sync(2, 700), sync(2, 650)],
        Config("sync", 3): [sync(3, 640), sync(3, 910), sync(3, 690)],
    }
    row = judge(SYNC, GRID, raced, ours=Config("sync", 2), took_s=20, formulas=FORMULAS)
    assert row.best == Config("sync", 3)
    assert row.share == pytest.approx(650 / 690)  # medians of launches at one speed
    assert row.memory_ratio == pytest.approx(120 / 170)
    assert [row.shares[name].raced for name in FORMULAS] == [False, True]


def test_what_is_over_the_budget_is_no_measure_of_the_best() -> None:
    grid = [sync(1, 500), sync(4, 1000), sync(5, 2000)]
    row = judge(SMALL, grid, {}, ours=Config("sync", 5), took_s=20, formulas={})
    assert (row.best, row.kept, row.share) == (Config("sync", 4), False, 2.0)


def test_nothing_within_the_budget_is_said() -> None:
    with pytest.raises(AdvisorError, match="no configuration of the grid"):
        standings(SMALL, [sync(5, 100)], {})


def test_the_figures_hold_ours_to_their_limits() -> None:
    good = judge(SYNC, GRID, {}, ours=Config("sync", 2), took_s=20, formulas=FORMULAS)
    assert all(figure.kept for figure in table.figures([good]))
    bad = replace(good, share=0.9, memory_ratio=1.2, kept=False, took_s=41)
    missed = [figure for figure in table.figures([bad]) if not figure.kept]
    assert len(missed) == 5
    assert "OVER" in table.line(bad)
    assert json.loads(json.dumps(table.as_data(bad)))["formulas"]["2n+1"]["share"] == 0.8


def test_a_race_gives_every_configuration_its_turn_each_round() -> None:
    asked: list[Config] = []

    def launched(config: Config) -> list[Point]:
        asked.append(config)
        return [point(config, 1), point(config, 2)]

    three = [Config("sync", size) for size in (1, 2, 3)]
    race = Race([*three, three[0]], launched)
    for _ in range(3):
        race.round()
    seen = race.launched
    assert {config: len(points) for config, points in seen.items()} == dict.fromkeys(three, 6)
    assert race.rounds == 3
    for turn in range(3):
        assert sorted(asked[3 * turn : 3 * turn + 3]) == three


def running(*rates: float) -> Race:
    """A race that has had two rounds: one configuration of these rates in turn, one of 100."""
    turns = itertools.cycle(rates)
    one, steady = Config("sync", 1), Config("sync", 2)
    race = Race(
        [one, steady], lambda config: [point(config, next(turns) if config == one else 100)]
    )
    for _ in range(2):
        race.round()
    return race


ONE, OTHER = Config("sync", 1), Config("sync", 2)


def test_what_fills_the_cpu_is_as_fast_as_the_machine() -> None:
    """Twice as fast in one launch of the one; the other had a slow one, and never a fast one."""
    seen = levelled(
        {
            ONE: [point(ONE, 200, piece_s=0.001), point(ONE, 100, piece_s=0.002)],
            OTHER: [point(OTHER, 90, piece_s=0.002), point(OTHER, 60, piece_s=0.003)],
        }
    )
    rates = {config: [each.rps for each in points] for config, points in seen.items()}
    assert rates[ONE] == pytest.approx([rates[ONE][0]] * 2)
    assert rates[OTHER] == pytest.approx([0.9 * rate for rate in rates[ONE]])
    assert 60 < rates[ONE][0] < 200


def test_what_waits_is_not() -> None:
    launched = {
        ONE: [point(ONE, 100, piece_s=0.001), point(ONE, 100, piece_s=0.002)],
        OTHER: [point(OTHER, 90, piece_s=0.002), point(OTHER, 90, piece_s=0.003)],
    }
    assert levelled(launched) == launched


def test_a_machine_that_was_always_as_fast_changes_nothing() -> None:
    launched = {ONE: [point(ONE, 100), point(ONE, 60)], OTHER: [point(OTHER, 90)]}
    assert levelled(launched) == launched


def test_a_launch_that_answered_nothing_stays_at_nothing() -> None:
    none = point(ONE, 0, piece_s=0.003)
    seen = levelled({ONE: [none, point(ONE, 50, piece_s=0.001)], OTHER: [point(OTHER, 50)]})
    assert seen[ONE][0].rps == 0
    assert levelled({}) == {}


def test_what_time_is_left_goes_to_the_race_in_most_doubt() -> None:
    calm, restless, wild = running(100, 100), running(100, 108), running(100, 200)
    settle([calm, restless, wild], ends=math.inf)
    assert calm.rounds == 2
    assert 2 < restless.rounds < wild.rounds
    assert max(restless.doubt, wild.doubt) <= 0.01


def test_a_rival_that_is_beaten_anyway_leaves_no_doubt() -> None:
    turns = itertools.cycle((10, 80))
    ours, rival, beaten = (Config("sync", size) for size in (1, 2, 3))
    race = Race(
        [ours, beaten, rival],
        lambda config: [point(config, next(turns) if config == beaten else 90 + config.workers)],
    )
    for _ in range(2):
        race.round()
    assert race.doubt == pytest.approx(0)


def test_a_race_that_is_late_ends_after_its_first_rounds() -> None:
    wild = running(100, 200)
    settle([wild], ends=0.0)
    assert wild.rounds == 2


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "m.py").write_text("app = None\n")
    return replace(ASYNC, folder=tmp_path)


@pytest.mark.daemon
def test_a_point_is_measured_once(case: Case) -> None:
    asked: list[Config] = []

    def launched(config: Config) -> Point:
        asked.append(config)
        return point(config, 1)

    two = Config(UVICORN_WORKER, 2)
    first = Cache(case).through(launched)(two)
    assert Cache(case).through(launched)(two) == first
    assert asked == [two]


@pytest.mark.daemon
def test_another_app_or_budget_has_another_grid(case: Case) -> None:
    before = Cache(case).path
    assert Cache(case).path == before
    assert Cache(replace(case, memory_bytes=500 * MIB)).path != before
    (case.folder / "m.py").write_text("app = 1\n")
    assert Cache(case).path != before


def test_the_cases_can_be_told_apart() -> None:
    assert len(CASES) >= 10
    assert len({case.slug for case in CASES}) == len(CASES)
    for case in CASES:
        assert (case.folder / f"{case.module}.py").is_file()
