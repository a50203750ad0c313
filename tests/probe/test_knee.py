"""What is made of the knee when time runs out: a stepper whose clock and steps are given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from advisor.probe.analysis.observation import Load, Window
from advisor.probe.analysis.statistics import MIN_WINDOWS
from advisor.probe.knee import AtTheKnee

if TYPE_CHECKING:
    from advisor.probe.stepper import Stepper

WINDOW = Window(
    seconds=0.25,
    completed=750,
    errors=0,
    latency_sum=4.0,
    server_cpu={101: 0.25},
    client_cpu=0.1,
    others_cpu=0.0,
    steal=0.0,
    run_queue_wait=0.0,
)
WHOLE = Load(connections=16, windows=(WINDOW,) * 4, latencies=())


class Clock:
    """A stepper with so many seconds left, of which each step takes some and gives `windows`.

    In turn the server uses `cores`, the last for the rest of the steps.
    """

    def __init__(self, left_s: float, windows: int, cores: tuple[float, ...] = (1.0,)) -> None:
        self.left_s, self.windows, self.cores = left_s, windows, cores
        self.asked: list[float] = []
        self.done: list[str] = []
        self.ramps: list[int] = []
        self.engine = SimpleNamespace(
            hang_up=lambda: None, run_at=self.ramps.append, caps=SimpleNamespace(connections=64)
        )
        self.around = SimpleNamespace(server=None)
        # Whether others' requests are seen, and whether they come while a burst is half open.
        self.others = self.come = False

    def left(self) -> float:
        return self.left_s

    def alone(self) -> bool:
        return not self.others

    async def window(self, seconds: float) -> None:
        self.left_s -= seconds
        self.others = self.come

    async def drain(self) -> None:
        self.done.append("drained")

    async def step(self, connections: int, *, windows: int, seconds: float, **_: Any) -> Load:
        cores = self.cores[min(len(self.asked), len(self.cores) - 1)]
        self.asked.append(windows * seconds)
        self.done.append("visit")
        self.left_s -= windows * seconds
        window = replace(WINDOW, server_cpu={101: cores * WINDOW.seconds})
        return replace(WHOLE, windows=(window,) * self.windows, connections=connections)

    async def arrivals(self, *_: Any, windows: int, seconds: float) -> tuple[Load, SimpleNamespace]:
        self.done.append("open loop")
        self.left_s -= windows * seconds
        return WHOLE, SimpleNamespace(offered=SimpleNamespace(requests=100, late=0))


def measured(clock: Clock) -> tuple[list[Load], AtTheKnee]:
    knee = AtTheKnee(cast("Stepper", clock), None)
    steps, _ = asyncio.run(knee.measure([WHOLE], WHOLE, plateau=True))
    return steps, knee


@pytest.mark.parametrize("windows", range(MIN_WINDOWS))
def test_a_visit_that_was_cut_short_does_not_stand_where_the_step_stood(windows: int) -> None:
    steps, knee = measured(Clock(left_s=12, windows=windows))
    assert knee.visits == []
    assert steps == [WHOLE]


def test_a_whole_visit_does() -> None:
    steps, knee = measured(Clock(left_s=12, windows=4))
    assert knee.visits
    assert [len(step.windows) for step in steps] == [4 * len(knee.visits)]


def test_no_visit_is_begun_that_the_steppers_own_end_would_cut_short() -> None:
    """A visit takes 1 s at the least and 0.2 to ramp up, and a step ends once 2 s are left."""
    assert measured(Clock(left_s=3.1, windows=4))[1].visits == []
    clock = Clock(left_s=3.3, windows=4)
    assert measured(clock)[1].visits
    assert clock.asked[0] <= 1.1


def test_a_visit_comes_before_the_open_loop_where_there_is_time_for_both() -> None:
    clock = Clock(left_s=6.3, windows=4)
    measured(clock)
    assert clock.done[:2] == ["visit", "open loop"]


@pytest.mark.parametrize(
    ("cores", "visits"),
    [((1.0,), 5), ((0.5, 1.0), 6), ((0.5, 1.0, 0.5, 1.0), 7), ((0.5,), 8)],
)
def test_visits_go_on_while_bursts_fall_on_some_workers_only(
    cores: tuple[float, ...], visits: int
) -> None:
    """A step before them had kept one core busy."""
    assert len(measured(Clock(left_s=60, windows=4, cores=cores))[1].visits) == visits


def test_after_a_burst_that_left_workers_idle_the_second_half_of_connections_comes_later() -> None:
    clock = Clock(left_s=60, windows=4, cores=(0.5, 1.0, 0.5, 1.0))
    measured(clock)
    assert clock.ramps == [WHOLE.connections // 2] * 2
    lucky = Clock(left_s=60, windows=4)
    measured(lucky)
    assert lucky.ramps == []


def test_the_second_half_stays_closed_where_others_come_meanwhile() -> None:
    clock = Clock(left_s=60, windows=4, cores=(0.5, 1.0))
    clock.come = True
    measured(clock)
    assert clock.ramps == [WHOLE.connections // 2]
    assert clock.done[-2:] == ["open loop", "drained"]
    assert len(clock.asked) == 1
