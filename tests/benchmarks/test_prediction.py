"""A run that was kept is predicted anew as it was; what was seen is held against intervals."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor import files
from advisor.documents import Facts, Measurement
from advisor.errors import InvalidInput
from benchmarks.prediction import kept
from benchmarks.prediction.known import Known
from benchmarks.prediction.rows import Load, value
from benchmarks.regret.apps import CASES
from benchmarks.regret.points import UVICORN_WORKER, Config

EXAMPLES = Path(__file__).parents[1] / "examples"
CASE = next(case for case in CASES if case.interface == "asgi")
ONE = Config(UVICORN_WORKER, 1)


@pytest.fixture
def known() -> Known:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    seen = files.read(Measurement, EXAMPLES / "measurement.json")
    server = facts.servers[0]
    return Known(CASE, facts.model_copy(update={"pid": server.pid}), seen, server, 0.003)


def load(rps: float, connections: int = 64) -> Load:
    return Load(ONE, connections, modest=False, slower=1.5, rps=rps, pss=10**8)


def test_a_run_comes_back_as_it_was_kept(known: Known, tmp_path: Path) -> None:
    loads = [load(900.0), load(100.0, connections=4)]
    kept.write(known, loads, tmp_path / "0")
    (folder,) = kept.runs(tmp_path)
    again, same = kept.read(CASE, folder)
    assert same == loads
    assert again.piece_s == known.piece_s
    assert [again.row(each) for each in same] == [known.row(each) for each in loads]


def test_a_folder_without_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds no runs"):
        kept.runs(tmp_path)


def test_a_slower_core_serves_less_and_a_row_says_by_how_much(known: Known) -> None:
    row = known.row(load(1.0))
    paced, unpaced = (value(each.throughput_rps) for each in (row.predicted, row.unpaced))
    assert paced < unpaced
    exact = known.row(load(paced))
    assert exact.throughput == pytest.approx(1)
    assert exact.response_s == pytest.approx(64 / paced)
    assert exact.held[0]
    assert not known.row(load(paced * 3)).held[0]
