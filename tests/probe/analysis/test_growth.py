from __future__ import annotations

import random
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.probe.analysis.growth import MIB, growth
from advisor.probe.sample.memory import MemorySample


def samples(
    grown: list[int], *, requests: int = 500, connections: int = 4, start: int = 50 * MIB
) -> list[MemorySample]:
    """A reading after every `requests`, which grew by so many bytes each."""
    held = accumulate(grown, initial=start)
    return [
        MemorySample(number * requests, connections, size, exact=True)
        for number, size in enumerate(held)
    ]


def in_steps(rate: float, step: int, *, count: int = 24, requests: int = 500) -> list[int]:
    """Growth of `rate` bytes a request that shows in whole `step`s only, as an allocator's does."""
    held = [int(number * requests * rate) // step * step for number in range(count + 1)]
    return [after - before for before, after in pairwise(held)]


@pytest.mark.parametrize("step", [4096, 256 * 1024, MIB])
def test_a_leak_is_found_in_an_allocators_steps(step: int) -> None:
    found = growth(samples(in_steps(2000, step)), workers=2)
    assert found.unknown is None
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(2000, rel=0.15)
    assert found.estimate.low <= 2000 * 1.05
    assert found.estimate.high >= 2000 * 0.95
    assert found.estimate.low > 0
    assert found.estimate.n == 12_000


def test_a_heap_that_goes_up_and_down_does_not_leak() -> None:
    generator = random.Random(5)
    alarms = 0
    for _ in range(300):
        held = [generator.choice([0, 1, 2, 3]) * MIB for _ in range(25)]
        grown = [after - before for before, after in pairwise(held)]
        alarms += growth(samples(grown), workers=1).estimate is not None
    assert alarms <= 3


def test_a_heap_that_only_gives_nothing_back_is_hardly_ever_taken_for_a_leak() -> None:
    """Its size is the most that requests have ever needed together: a record, ever rarer."""
    generator = random.Random(6)
    alarms = 0
    for _ in range(300):
        needed = [int(generator.gauss(20, 4)) * MIB for _ in range(25)]
        held = list(accumulate(needed, max))
        grown = [after - before for before, after in pairwise(held)]
        alarms += growth(samples(grown), workers=1).estimate is not None
    assert alarms <= 3


@pytest.mark.parametrize("at", range(24))
def test_one_jump_is_no_leak_however_large(at: int) -> None:
    grown = [0] * 24
    grown[at] = 200 * MIB
    found = growth(samples(grown), workers=1)
    assert found.estimate is None
    assert found.unknown is not None


def test_a_cache_that_fills_is_no_leak() -> None:
    grown = [int(8 * MIB * 0.7**number) for number in range(24)]
    assert growth(samples(grown), workers=1).estimate is None


def test_growth_in_the_second_half_only_is_said_as_such() -> None:
    found = growth(samples([0] * 12 + [MIB] * 12), workers=1)
    assert found.unknown is not None
    assert "not steady: 0 bytes a request in the first half" in found.unknown.why


def test_less_than_two_arenas_a_worker_is_not_told() -> None:
    found = growth(samples([80_000] * 24), workers=1)
    assert found.unknown is not None
    assert "arena" in found.unknown.why


def test_the_interval_is_told_where_it_holds_zero() -> None:
    found = growth(samples([-4096, 8192] * 12), workers=1)
    assert found.unknown is not None
    assert found.unknown.what == "memory growth"
    assert "the interval holds zero after 12,000 requests: -" in found.unknown.why
    assert "--observe 3600" in found.unknown.remedy
    shrunk = growth(samples([-4096] * 24), workers=1).unknown
    assert shrunk is not None
    assert "lies below zero" in shrunk.why


def test_what_new_connections_take_is_no_leak() -> None:
    """Every step's first reading is higher than the last one's last, and then nothing grows."""
    seen = [
        MemorySample(step * 4000 + 500 * number, 2**step, (50 + 5 * step) * MIB, exact=True)
        for step in range(6)
        for number in range(6)
    ]
    assert growth(seen, workers=1).estimate is None


def test_two_sources_are_not_compared() -> None:
    exact = samples([0] * 12)
    counted = [
        MemorySample(6000 + s.requests, s.connections, s.held_bytes + MIB, exact=False)
        for s in samples([0] * 12)
    ]
    unknown = growth([*exact, *counted], workers=1).unknown
    assert unknown is not None
    assert "0..0 bytes" in unknown.why


@pytest.mark.parametrize(
    "few", [[], samples([MIB] * 7), samples([MIB] * 24, requests=2), samples([])]
)
def test_too_few_readings_or_requests_tell_nothing(few: list[MemorySample]) -> None:
    unknown = growth(few, workers=1).unknown
    assert unknown is not None
    assert "cannot be told in this time" in unknown.why


@given(
    st.lists(
        st.tuples(st.integers(0, 5000), st.sampled_from([1, 2]), st.integers(0, 10 * MIB)),
        max_size=60,
    ),
    st.booleans(),
)
def test_any_readings_give_one_answer_and_none_is_negative(
    rows: list[tuple[int, int, int]], exact: bool
) -> None:
    counts = accumulate(requests for requests, _, _ in rows)
    seen = [
        MemorySample(count, connections, held, exact)
        for count, (_, connections, held) in zip(counts, rows, strict=True)
    ]
    found = growth(seen, workers=1)
    assert (found.estimate is None) != (found.unknown is None)
    if found.estimate:
        assert 0 < found.estimate.low <= found.estimate.value <= found.estimate.high
