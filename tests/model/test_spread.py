"""How connections fall on workers: what must hold, and the cases that are known exactly."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.model.queueing import closed_throughput
from advisor.model.spread import alone, expected, shares_of_one

EVEN = math.inf


@given(
    population=st.integers(1, 64),
    delay=st.floats(0, 1),
    held=st.floats(1e-5, 0.1),
    slots=st.integers(1, 80),
)
def test_one_worker_alone_is_the_closed_network(
    population: int, delay: float, held: float, slots: int
) -> None:
    rates = alone(population, delay, held, slots)
    exact = closed_throughput(min(population, slots), delay, lambda _: 1 / held)
    assert len(rates) == population + 1
    assert rates[-1] == pytest.approx(exact, rel=1e-6)
    assert all(more >= fewer * (1 - 1e-9) for fewer, more in pairwise(rates))


@given(st.integers(1, 200), st.integers(2, 64), st.floats(0.1, 100))
def test_the_shares_are_a_distribution_with_an_even_mean(
    population: int, workers: int, concentration: float
) -> None:
    shares = shares_of_one(population, workers, concentration)
    assert sum(shares) == pytest.approx(1, rel=1e-6)
    mean = sum(number * share for number, share in enumerate(shares))
    assert mean == pytest.approx(population / workers, rel=1e-6)


@given(
    population=st.integers(1, 64),
    workers=st.integers(1, 16),
    concentration=st.floats(0.2, 50),
    slots=st.integers(1, 64),
    most=st.floats(1, 20_000),
)
def test_luck_costs(
    population: int, workers: int, concentration: float, slots: int, most: float
) -> None:
    rates = alone(population, 0.020, 0.001, slots)
    even = expected(rates, workers, EVEN)
    likely = expected(rates, workers, concentration)
    bounded = expected(rates, workers, concentration, most)
    assert likely <= even * (1 + 1e-9)
    assert 0 <= bounded <= min(likely, most) * (1 + 1e-9)
    assert likely >= rates[-1] * (1 - 1e-9) or slots < population


def test_one_worker_has_no_luck() -> None:
    rates = alone(8, 0.020, 0.001, 8)
    assert expected(rates, 1, 1.0) == rates[-1]


def test_less_concentrated_is_less_even() -> None:
    rates = alone(64, 0.040, 0.0003, 16)
    likely = [expected(rates, 2, concentration) for concentration in (0.5, 2, 8, 1e6)]
    assert likely == sorted(likely)
    assert likely[-1] == pytest.approx(2 * rates[32], rel=0.01)


def launched(rates: list[float], workers: int, concentration: float) -> list[float]:
    """What the workers serve together, in launches drawn one by one."""
    population, draw, served = len(rates) - 1, random.Random(7), []
    for _ in range(3000):
        keen = [draw.gammavariate(concentration, 1) + 1e-300 for _ in range(workers)]
        held = Counter(draw.choices(range(workers), keen, k=population))
        served.append(sum(rates[held[worker]] for worker in range(workers)))
    return served


@pytest.mark.parametrize(
    ("workers", "concentration", "rates"),
    [
        (2, 3.0, alone(64, 0.020, 0.0008, 64)),
        (3, 0.5, alone(64, 0.020, 0.0013, 16)),
        (8, 0.4, alone(64, 0.050, 0.001, 40)),
        (12, 0.5, alone(64, 0.020, 0.0011, 5)),
        (25, 0.6, alone(64, 0.0, 0.021, 64)),
        (4, 1.0, alone(16, 0.010, 0.002, 16)),
    ],
)
@pytest.mark.parametrize("room", [0.85, 1.0, 1.2])
def test_a_bound_costs_as_much_as_in_launches_drawn_one_by_one(
    workers: int, concentration: float, rates: list[float], room: float
) -> None:
    served = launched(rates, workers, concentration)
    most = room * sum(served) / len(served)
    seen = sum(min(each, most) for each in served) / len(served)
    assert expected(rates, workers, concentration, most) == pytest.approx(seen, rel=0.025)
    if room == 1.0:  # what the mean launch would serve is no measure
        assert min(expected(rates, workers, concentration), most) > 1.015 * seen
