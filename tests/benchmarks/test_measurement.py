"""The reference is brought to the speed that the machine had while the probe took its figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor import files
from advisor.documents import Measurement
from benchmarks.measurement.cases import CASES
from benchmarks.measurement.reference import Half
from benchmarks.measurement.rows import Row
from benchmarks.measurement.steps import Step, Steps
from benchmarks.pace import Pace, Speed

EXAMPLES = Path(__file__).parents[1] / "examples"


def pace(tmp_path: Path, *pieces: tuple[float, float], name: str = "pieces") -> Pace:
    log = tmp_path / name
    log.write_text("".join(f"{when:.3f} {spent:.6f}\n" for when, spent in pieces) + "9.000 0.0")
    return Pace(log)


def test_who_is_fast_half_of_the_time_does_most_of_the_work_then(tmp_path: Path) -> None:
    """In two CPU seconds, 1,000 pieces of 1 ms and 500 of 2 ms: 1.33 ms each."""
    one = pace(tmp_path, (1.0, 0.001), (2.0, 0.002), (5.0, 0.009), name="one")
    other = pace(tmp_path, (1.0, 0.002), (2.0, 0.001), name="other")
    assert Speed([one, other]).during((0.5, 2.5)) == pytest.approx(0.002 / 1.5)
    assert Speed([one]).during((0.5, 1.5), (4.5, 5.5)) == pytest.approx(0.0018)


def test_one_piece_tells_no_speed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="too few pieces"):
        pace(tmp_path, (1.0, 0.001), (2.0, 0.002)).rate((0.5, 1.5))


def steps(*seen: tuple[int, float]) -> Steps:
    return Steps(_seen=[Step(many, cores, (at, at + 0.5)) for at, (many, cores) in enumerate(seen)])


def test_the_probes_figure_is_of_its_busiest_visits() -> None:
    doubled = (1, 0.1), (2, 0.2), (4, 1.2), (8, 1.8), (16, 1.8)
    assert steps(*doubled, (8, 0.9), (8, 1.7), (8, 1.75), (16, 1.8)).spans(8, 2) == [
        (6, 6.5),
        (7, 7.5),
    ]
    assert steps(*doubled).spans(16, 2) == [(4, 4.5)]


def test_it_is_of_all_visits_where_the_workers_mostly_slept() -> None:
    slept = (1, 0.1), (2, 0.2), (2, 0.1), (4, 0.2)
    assert steps(*slept).spans(2, 2) == [(2, 2.5)]
    assert steps(*slept[:2], *[(1, 0.2), (1, 0.1)]).spans(1, 2) == [(2, 2.5), (3, 3.5)]


def test_bursts_beside_others_are_spread_over_the_whole_probe() -> None:
    told = Steps()
    told.told("others use the app (a new connection): short bursts on one connection instead.")
    ((began, ended),) = told.spans(1, 2)
    assert began < ended


def test_a_line_of_progress_is_read_as_the_probe_prints_it() -> None:
    told = Steps()
    told.told("Warming up.")
    began = told._began
    told.told("               ... 2,928 answers so far, 0 errors")
    told.told(
        "   64 connections:   1,838.8 requests/s, p50 33.9 ms, p99 56.0 ms, server 1.69 cores, "
        "generator 0.09"
    )
    told.told("          919 a second:     902.7 requests/s, p50 37.0 ms, server 1.26 cores")
    (step,) = told._seen
    assert (step.connections, step.cores) == (64, 1.69)
    assert step.span[0] == began


def test_halves_of_a_slower_machine_cost_as_much_less() -> None:
    """The example's probe found 1.6 ms; the machine was 1.25 times as slow for the first half."""
    seen = files.read(Measurement, EXAMPLES / "measurement.json")
    assert seen.cpu_per_request_s is not None
    cpu_s = seen.cpu_per_request_s.value
    halves = Half(1.25 * cpu_s, (0.0, 1.0)), Half(cpu_s, (2.0, 3.0))
    row = Row(CASES[0], seen, halves, (0.002, 0.0025, 0.002))
    assert row.cpu_ratio == pytest.approx(1.0)
    assert row.unsteady == pytest.approx(0.0)
    assert row.unlevelled_ratio == pytest.approx(1 / 1.125)
