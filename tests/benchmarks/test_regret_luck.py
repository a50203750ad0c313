"""What luck alone does to the figures is read off how launches of one configuration differ."""

from __future__ import annotations

import pytest

from benchmarks.regret.luck import Luck, luck
from benchmarks.regret.points import Config, Point


def launches(workers: int, *rates: float) -> tuple[Config, list[Point]]:
    config, held = Config("sync", workers), 20 + 50 * workers
    return config, [Point(config, rate, 0.1, 0.0, 0.5, held, held, held, 0.001) for rate in rates]


def judged(*races: dict[Config, list[Point]]) -> Luck:
    return luck(races, least_share=0.92, most_memory=1.15)


def test_launches_that_never_differ_leave_nothing_to_luck() -> None:
    race = dict([launches(2, 100, 100), launches(4, 120, 120), launches(8, 120, 120)])
    assert judged(race, race) == Luck(share=1, memory_ratio=1, share_kept=1, memory_kept=1)


def test_two_that_are_equal_do_not_both_win() -> None:
    race = dict([launches(2, 80, 100, 120), launches(4, 120, 80, 100)])
    one, many = judged(race), judged(*[race] * 10)
    assert 0.7 < many.share < one.share
    assert 0 < many.share_kept < one.share_kept < 1


def test_the_right_one_may_be_held_against_a_smaller_one_that_was_lucky() -> None:
    """2 workers serve 3 % less than 4: now and then they are drawn as equal, at 0.55 the memory."""
    race = dict([launches(2, 97, 87, 107), launches(4, 100, 110, 90)])
    seen = judged(*[race] * 10)
    assert seen.memory_ratio == pytest.approx(220 / 120)
    assert seen.memory_kept < 0.1


def test_a_draw_is_the_same_each_time_it_is_printed() -> None:
    race = dict([launches(2, 80, 100, 120), launches(4, 110, 80, 100)])
    assert judged(race) == judged(race)


def test_what_answered_nothing_is_no_rival() -> None:
    race = dict([launches(2, 0, 0), launches(4, 100, 100)])
    assert judged(race) == Luck(share=1, memory_ratio=1, share_kept=1, memory_kept=1)
