"""Whether requests stay together is read off a probe's steps, where nothing else holds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor import files
from advisor.documents import Measurement
from advisor.evidence.lockstep import lockstep
from advisor.model.classes import ASGI, SYNC
from advisor.model.lockstep import slack
from advisor.model.queueing import closed_throughput

MEASURED = files.read(Measurement, Path(__file__).parents[1] / "examples" / "measurement.json")
WAIT_S, CPU_S = 0.050, 0.001
FULL = (64, 900.0)


def stepped(*steps: tuple[int, float]) -> Measurement:
    """One worker on one core, at so many connections and requests/s."""
    first = MEASURED.throughput.steps[0]
    made = [
        first.model_copy(update={"connections": each, "rps": rps, "cpu_per_request_s": CPU_S})
        for each, rps in steps
    ]
    return MEASURED.model_copy(
        update={
            "target": MEASURED.target.model_copy(update={"workers": 1}),
            "throughput": MEASURED.throughput.model_copy(update={"steps": made}),
            "limiter": MEASURED.limiter.model_copy(update={"evidence": {"cpu_left_cores": 1.0}}),
        }
    )


def even(number: int) -> tuple[int, float]:
    return number, closed_throughput(number, WAIT_S, lambda _: 1 / CPU_S)


def together(number: int) -> tuple[int, float]:
    return number, number / (WAIT_S + number * CPU_S)


def test_what_varies_is_not_in_step_and_what_never_does_is() -> None:
    assert lockstep(stepped(even(4), even(16), FULL), ASGI, WAIT_S) == pytest.approx(0, abs=1e-9)
    assert lockstep(stepped(together(4), together(16), FULL), ASGI, WAIT_S) == 1.0
    between = lockstep(stepped(together(4), even(16), FULL), ASGI, WAIT_S)
    assert 0.05 < between < 0.3


def test_a_step_at_the_most_that_was_reached_tells_of_a_limit() -> None:
    limited = stepped((4, 60.0), (8, 61.0), (16, 60.0))
    assert lockstep(limited, ASGI, WAIT_S) == 0.0


def test_processes_that_serve_one_by_one_and_apps_that_do_not_wait_are_not_asked() -> None:
    steps = together(4), together(16), FULL
    assert lockstep(stepped(*steps), SYNC, WAIT_S) == 0.0
    assert lockstep(stepped(*steps), ASGI, 0.0005) == 0.0
    unknown = MEASURED.limiter.model_copy(update={"evidence": {}})
    hidden = stepped(*steps).model_copy(update={"limiter": unknown})
    assert lockstep(hidden, ASGI, WAIT_S) == 0.0


def test_cores_that_are_half_full_still_idle_while_all_are_away() -> None:
    """64 on one worker's 40 threads took 25 of 33 ms longer, with 0.43 of a core in use."""
    assert slack(0.43) == pytest.approx(25 / 33, abs=0.1)
    assert (slack(0.0), slack(1.0)) == (1.0, 0.0)
