"""The proof: the apps run better on what was recommended, by the same referee in one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from advisor.demo.processes import Score
from advisor.demo.run import Outcome, Scenario, comparison, demonstrate, scenarios

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("scenario", "least"),
    list(zip(scenarios(), (1.2, 5.0), strict=True)),
    ids=lambda value: value.name if isinstance(value, Scenario) else str(value),
)
def test_the_proof(scenario: Scenario, least: float, tmp_path: Path) -> None:
    said: list[str] = []
    outcome = demonstrate(scenario, tmp_path, said.append)
    assert outcome.after.failed == 0
    assert outcome.after.rps > least * outcome.before.rps, comparison(outcome)
    document = yaml.safe_load((tmp_path / "recommendation.yml").read_text())
    values = {setting["id"]: setting["value"] for setting in document["settings"]}
    assert _rendered(tmp_path / "deploy" / "gunicorn" / "gunicorn.conf.py") >= {
        f"workers = {values['gunicorn.workers']}",
        f'worker_class = "{values["gunicorn.worker_class"]}"',
    }
    assert comparison(outcome) in said


def _rendered(path: Path) -> set[str]:
    return set(path.read_text().splitlines())


def test_the_comparison_has_both_figures_and_their_ratio() -> None:
    before, after = Score(100, 0.5, 1.0, 500, 3), Score(1200, 0.01, 0.05, 6000, 0)
    text = comparison(Outcome(scenarios()[1], before, after))
    for part in ("100", "1,000 ms", "3", "1,200", "50 ms", "12.0x", "64 connections"):
        assert part in text
