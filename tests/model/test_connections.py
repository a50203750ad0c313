"""Connections of one worker: all of them together stay within the database's, a reload included."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.model.connections import MOST, Pool, at_once, per_worker, pool, taken

counts = st.integers(1, 10_000)
few = st.integers(1, 100)


@given(counts, st.integers(0, 10_000), few, few)
def test_all_workers_stay_within_the_databases_limit_even_in_a_reload(
    limit: int, reserved: int, hosts: int, workers: int
) -> None:
    each = per_worker(limit, reserved, hosts, workers)
    assert each >= 0
    assert taken(each, hosts, workers) <= max(0, limit - reserved)
    # And nothing is given away: one more each would not fit.
    assert taken(each + 1, hosts, workers) > limit - reserved


@pytest.mark.parametrize(
    ("limit", "reserved", "hosts", "workers", "each"),
    [
        (100, 10, 1, 1, 45),
        (100, 0, 2, 5, 5),
        (100, 99, 1, 1, 0),
        (100, 200, 1, 1, 0),
        # No list of hosts is one host.
        (100, 0, 0, 5, 10),
    ],
)
def test_a_workers_part(limit: int, reserved: int, hosts: int, workers: int, each: int) -> None:
    assert per_worker(limit, reserved, hosts, workers) == each


@given(st.integers(0, 1000), few, st.integers(1, 2000))
def test_a_pool_is_within_its_share_wherever_one_connection_is(
    share: int, used: int, most: int
) -> None:
    made = pool(share, used, most)
    assert made.size >= 1
    assert made.overflow >= 0
    assert made.most <= max(1, share)
    assert made.size <= max(1, used)


@pytest.mark.parametrize(
    ("share", "used", "most", "expected"),
    [
        (45, 10, 64, Pool(10, 35)),
        (45, 10, 20, Pool(10, 10)),
        (7, 10, 64, Pool(7, 0)),
        (0, 10, 64, Pool(1, 0)),
        (45, 1, 1, Pool(1, 0)),
    ],
)
def test_a_pool(share: int, used: int, most: int, expected: Pool) -> None:
    assert pool(share, used, most) == expected


def test_requests_at_once_follow_littles_law() -> None:
    assert at_once(500, 0.04, 2) == 10
    assert at_once(501, 0.04, 2) == 11
    assert at_once(0.1, 0.001, 4) == 1


@given(
    st.floats(0, allow_nan=False, allow_infinity=False),
    st.floats(0, allow_nan=False, allow_infinity=False),
    few,
)
def test_requests_at_once_are_a_number_whatever_was_measured(
    rate: float, held: float, workers: int
) -> None:
    assert 1 <= at_once(rate, held, workers) <= MOST
    if rate * held / workers < MOST:
        assert at_once(rate, held, workers) >= math.floor(rate * held / workers)
