from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from advisor.probe.address import Endpoint
from advisor.probe.load.requests import CYCLE, Mix, cycle, request_bytes


@given(st.lists(st.floats(0.001, 1000), min_size=2, max_size=12))
def test_a_cycle_has_the_proportions_of_the_weights(weights: list[float]) -> None:
    turns, total = Counter(cycle(weights)), sum(weights)
    assert set(turns) == set(range(len(weights)))
    for index, weight in enumerate(weights):
        assert abs(turns[index] - CYCLE * weight / total) <= 1 + len(weights) / CYCLE


def test_one_route_is_always_its_turn() -> None:
    mix = Mix(Endpoint("http", "shop", "127.0.0.1", 8000, "/"), {"/": 1.0})
    assert [mix.next() for _ in range(3)] == [0, 0, 0]


def test_the_request_names_the_host_as_the_user_wrote_it() -> None:
    sent = request_bytes(Endpoint("http", "shop.example", "127.0.0.1", 8000, "/a"), "/b?c=1")
    assert sent.startswith(b"GET /b?c=1 HTTP/1.1\r\nHost: shop.example:8000\r\n")
    assert sent.endswith(b"\r\n\r\n")
