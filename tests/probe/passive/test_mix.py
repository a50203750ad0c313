"""From requests to the routes worth measuring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.probe.passive.entry import Entry
from advisor.probe.passive.mix import mix, template


def get(path: str, *, method: str = "GET", status: int = 200, proxied: bool | None = None) -> Entry:
    return Entry(None, method, path, "", status, proxied=proxied)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/items/42/", "/items/{}/"),
        ("/u/123e4567-e89b-12d3-a456-426614174000/a", "/u/{}/a"),
        ("/c/9f8e7d6c5b4a", "/c/{}"),
        ("/c/facade", "/c/facade"),
        ("/articles/how-to-make-a-good-cup-of-tea", "/articles/{}"),
        ("/v1/users", "/v1/users"),
    ],
)
def test_templates(path: str, expected: str) -> None:
    assert template(path) == expected


def test_weights_by_route_with_its_most_frequent_path() -> None:
    entries = [get("/items/1")] * 2 + [get("/items/2")] * 4 + [get("/about", method="HEAD")] * 2
    seen = mix(entries)
    assert [(r.path, r.template, r.count) for r in seen.routes] == [
        ("/items/2", "/items/{}", 6),
        ("/about", "/about", 2),
    ]
    assert [r.weight for r in seen.routes] == [0.75, 0.25]
    assert seen.left_out_ratio == 0


def test_what_is_no_load_is_left_out() -> None:
    bad = [
        get("/cart", method="POST"),
        get("/untold", method=""),
        get("/gone", status=404),
        get("/logo.png", proxied=False),
    ]
    seen = mix([get("/"), get("/"), *bad])
    assert [r.path for r in seen.routes] == ["/"]
    assert seen.other_methods_ratio == pytest.approx(2 / 5)


def test_a_token_in_a_path_is_never_repeated() -> None:
    token = "5dGh71kQx0ZpW9aYt3Vb"  # noqa: S105 - made up
    seen = mix([get(f"/reset/{token}")] * 3 + [get("/")])
    assert [r.path for r in seen.routes] == ["/"]
    assert seen.left_out_ratio == 0.75
    assert token not in repr(seen)


def test_of_many_routes_the_rest_is_said() -> None:
    entries = [get(f"/{'abcdefghij'[i]}") for i in range(10) for _ in range(10 - i)]
    seen = mix(entries, most=3)
    assert [r.path for r in seen.routes] == ["/a", "/b", "/c"]
    assert seen.left_out_ratio == pytest.approx(1 - 27 / 55)


def test_nothing() -> None:
    assert mix([]).routes == ()


@given(
    st.lists(st.tuples(st.sampled_from(["/a", "/b", "/i/1", "/i/2", "/c"]), st.integers(200, 599)))
)
def test_weights_and_the_rest_sum_to_one(requests: list[tuple[str, int]]) -> None:
    seen = mix([get(path, status=status) for path, status in requests], most=2)
    if seen.routes:
        assert sum(r.weight for r in seen.routes) + seen.left_out_ratio == pytest.approx(1)
