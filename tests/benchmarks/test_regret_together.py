"""Runs that were saved are judged as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from advisor.errors import InvalidInput
from benchmarks.regret import table, together
from benchmarks.regret.apps import CASES
from benchmarks.regret.judge import judge
from benchmarks.regret.points import Config, Point

if TYPE_CHECKING:
    from pathlib import Path

CASE = CASES[0]
RIVAL, OTHER = Config("asgi", 24), Config("asgi", 3)


def launches(config: Config, *rates: float) -> list[Point]:
    held = 50 * config.workers
    return [Point(config, rate, 0.1, 0.0, 0.5, held, held, held, 0.001) for rate in rates]


def saved(path: Path, ours: Config, raced: dict[Config, list[Point]]) -> Path:
    row = judge(CASE, [], raced, ours=ours, took_s=27, formulas={})
    path.write_text(json.dumps([table.as_data(row)]))
    return path


def test_launches_of_all_runs_count_and_ours_is_one(tmp_path: Path) -> None:
    first, second = Config("uvicorn", 58), Config("uvicorn", 57)
    lucky = {first: launches(first, 100, 100), RIVAL: launches(RIVAL, 80, 80)}
    unlucky = {
        second: launches(second, 80, 100),
        RIVAL: launches(RIVAL, 100, 80),
        OTHER: launches(OTHER, 50, 50),
    }
    paths = [saved(tmp_path / "1", first, lucky), saved(tmp_path / "2", second, unlucky)]
    (runs,) = together.read(paths).values()
    row = together.together(CASE.name, runs)
    assert (row.case, row.ours, row.took_s) == (CASE.name, second, 27)
    assert {config: len(points) for config, points in row.raced.items()} == {second: 4, RIVAL: 4}
    assert row.share == 1
    assert {point.config for point in row.raced[second]} == {second}


def test_a_run_alone_is_judged_as_it_judged_itself(tmp_path: Path) -> None:
    ours = Config("uvicorn", 58)
    raced = {ours: launches(ours, 90, 70), RIVAL: launches(RIVAL, 100, 80)}
    path = saved(tmp_path / "1", ours, raced)
    (runs,) = together.read([path]).values()
    row, (told,) = together.together(CASE.name, runs), json.loads(path.read_text())
    assert (row.share, row.memory_ratio) == (told["share"], told["memory_ratio"])
    assert row.share < 1
    assert row.memory_ratio > 2


@pytest.mark.parametrize(
    "content",
    [
        "1",
        "[1]",
        '[{"case": "async waiting"}]',
        '[{"case": "unheard", "race": []}]',
        '[{"case": "async waiting", "race": [], "took_s": 1}]',
    ],
)
def test_what_is_no_saved_run_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "no.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"no\.json"):
        together.read([tmp_path / "no.json"])
