from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Estimate
from advisor.probe.analysis import statistics


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    estimate = statistics.ratio([1.0, 9.0, 1.0], [10, 30, 10], n=50)
    assert estimate is not None
    assert estimate.value == pytest.approx(11 / 50)
    assert estimate.low < estimate.value < estimate.high


def test_too_few_windows_or_no_request_give_no_figure() -> None:
    assert statistics.ratio([1.0, 1.0], [1, 1], n=2) is None
    assert statistics.ratio([1.0] * 5, [0] * 5, n=0) is None


def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says() -> None:
    generator = random.Random(7)
    held = 0
    for _ in range(200):
        counts = [generator.randint(80, 120) for _ in range(8)]
        cpu = [count * generator.gauss(0.001, 0.0001) for count in counts]
        estimate = statistics.ratio(cpu, counts, n=sum(counts))
        assert estimate is not None
        held += estimate.low <= 0.001 <= estimate.high
    assert held >= 180


@given(
    st.lists(
        st.tuples(st.floats(0, 10), st.integers(1, 1000)),
        min_size=3,
        max_size=12,
    )
)
def test_the_value_lies_in_its_interval_and_nothing_is_negative(
    windows: list[tuple[float, int]],
) -> None:
    estimate = statistics.ratio([w[0] for w in windows], [w[1] for w in windows], n=5)
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.value <= estimate.high


def test_same_windows_same_interval() -> None:
    windows = ([0.1, 0.2, 0.15, 0.12], [100, 190, 160, 110])
    assert statistics.ratio(*windows, n=560) == statistics.ratio(*windows, n=560)


def test_percentiles_of_known_samples() -> None:
    estimate = statistics.percentile([i / 1000 for i in range(1, 1001)], 0.5)
    assert estimate is not None
    assert estimate.value == 0.5
    assert estimate.low < 0.5 < estimate.high


def test_a_percentile_needs_ten_samples_beyond_it() -> None:
    assert statistics.percentile([0.1] * 999, 0.99) is None
    assert statistics.percentile([0.1] * 1000, 0.99) is not None


def test_wilson_interval() -> None:
    low, high = statistics.proportion(50, 100)
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)  # Brown, Cai and DasGupta 2001
    assert statistics.proportion(0, 0) == (0.0, 1.0)


def test_what_windows_differ_by_counts_where_one_visit_stands_alone() -> None:
    """Of more, it is part of how they differ."""
    alone = Estimate(value=1.0, low=0.5, high=1.5, n=9)
    exact = Estimate(value=1.0, low=1.0, high=1.0, n=9)
    one, same = (statistics.another(each, [1.0], prior=0.04) for each in (alone, exact))
    assert one.low < 0.5
    assert same.low > 0.8
    both = [statistics.another(each, [1.0, 1.0], prior=0.04) for each in (alone, exact)]
    assert both[0] == both[1]
    apart = statistics.another(exact, [0.8, 1.2], prior=0.04)
    assert apart.high - apart.low > 2 * (both[1].high - both[1].low)
