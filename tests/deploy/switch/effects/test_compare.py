"""The comparison: it sees harm, and noise alone does not look like it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.deploy.switch.compare import MARGIN_RATIO, MARGIN_S, harm
from advisor.deploy.switch.services import Baseline

SECONDS = st.floats(0.0005, 1.5)
TIMES = st.lists(SECONDS, min_size=8, max_size=150)
# The light load of a dwell time of five seconds.
N = 100


def load(times: list[float], errors: int = 0) -> Baseline:
    return Baseline(tuple(times), errors)


@given(TIMES)
def test_the_same_is_no_harm(times: list[float]) -> None:
    assert harm(load(times), load(times)) is None


@given(TIMES, st.randoms())
def test_the_order_says_nothing(times: list[float], shuffled: random.Random) -> None:
    other = list(times)
    shuffled.shuffle(other)
    assert harm(load(times), load(other)) is None


@given(TIMES, TIMES, st.floats(0, 2))
def test_slower_still_is_no_less_harm(before: list[float], after: list[float], more: float) -> None:
    if harm(load(before), load(after)) is not None:
        assert harm(load(before), load([each + more for each in after])) is not None


@given(TIMES)
def test_far_slower_is_harm(times: list[float]) -> None:
    slower = [max(times) * (1 + MARGIN_RATIO) + MARGIN_S + 0.01] * len(times)
    assert harm(load(times), load(slower)) is not None


@given(st.integers(0, N), st.integers(0, N), st.integers(0, N))
def test_more_failures_are_no_less_harm(before: int, after: int, more: int) -> None:
    was = load([0.01] * (N - before), before)
    if harm(was, load([0.01] * (N - after), after)) is not None:
        worst = min(N, after + more)
        assert harm(was, load([0.01] * (N - worst), worst)) is not None


@pytest.mark.parametrize(
    ("before", "after", "is_harm"),
    [(0, 0, False), (0, 1, False), (0, 2, False), (0, 5, True), (0, 100, True), (30, 35, False)],
)
def test_failures(before: int, after: int, *, is_harm: bool) -> None:
    found = harm(load([0.01] * (N - before), before), load([0.01] * (N - after), after))
    assert (found is not None) is is_harm
    if is_harm:
        assert f"{after} of {N} requests failed" in str(found)


def test_without_a_before_only_failures_are_told() -> None:
    assert harm(None, load([2.0] * N)) is None
    assert harm(None, load([0.01] * 90, 10)) == "10 of 100 requests failed"


@pytest.mark.parametrize("base_s", [0.002, 0.02, 0.2])
def test_300_ms_slower_is_harm_however_few_are_asked(base_s: float) -> None:
    chance = random.Random(1)
    for _ in range(200):
        before = [base_s * chance.lognormvariate(0, 0.3) for _ in range(N)]
        # At 300 ms each, five seconds hold no more than these.
        after = [0.3 + base_s * chance.lognormvariate(0, 0.3) for _ in range(int(5 / 0.35))]
        found = harm(load(before), load(after))
        assert found is not None
        assert " ms to " in found


def stalling(chance: random.Random, base_s: float) -> list[float]:
    """A host like others: a long tail, and now and then a stall of half a second."""
    times = []
    for _ in range(N):
        stall = chance.uniform(0.05, 0.5) if chance.random() < 0.02 else 0.0
        times.append(base_s * chance.lognormvariate(0, 0.5) + stall)
    return times


def drifting(chance: random.Random, base_s: float) -> list[float]:
    """A host whose neighbours make it half as fast for a while: samples that hang together."""
    factor, times = chance.uniform(0.8, 1.4), []
    for _ in range(N):
        factor = 0.95 * factor + 0.05 * chance.uniform(0.7, 1.8)
        times.append(base_s * factor * chance.lognormvariate(0, 0.2))
    return times


@pytest.mark.parametrize("base_s", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("noisy", [stalling, drifting])
def test_noise_alone_is_hardly_ever_taken_for_harm(noisy: object, base_s: float) -> None:
    chance = random.Random(2)
    assert callable(noisy)
    pairs = ((noisy(chance, base_s), noisy(chance, base_s)) for _ in range(1000))
    alarms = sum(harm(load(before), load(after)) is not None for before, after in pairs)
    # Twenty applies are then clean in 98 of a hundred runs, at least.
    assert alarms <= 1
