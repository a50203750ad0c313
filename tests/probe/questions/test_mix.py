from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.probe.questions.mix import Route, parse_endpoints


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["/"], [("/", 1.0)]),
        (["/=3", "/items=1"], [("/", 0.75), ("/items", 0.25)]),
        (["/a", "/b"], [("/a", 0.5), ("/b", 0.5)]),
        (["/s?q=tea", "/s?q=tea&page=2=3"], [("/s?q=tea", 0.25), ("/s?q=tea&page=2", 0.75)]),
        (["/a=.5", "/b=5e-1"], [("/a", 0.5), ("/b", 0.5)]),
        (["/a%20b=2"], [("/a%20b", 1.0)]),
        (["/a=", "/b"], [("/a=", 0.5), ("/b", 0.5)]),
        (["/a==1"], [("/a=", 1.0)]),
        ([], []),
    ],
)
def test_weights_become_shares(texts: list[str], expected: list[tuple[str, float]]) -> None:
    assert parse_endpoints(texts) == [Route(*each) for each in expected]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("items=1", "begins with /"),
        ("http://127.0.0.1/=1", "begins with /"),
        ("//other.example/=0", "weight 0"),
        ("=1", "begins with /"),
        ("", "begins with /"),
        ("/=0", "weight 0"),
        ("/=-1", "weight -1"),
        ("/=nan", "weight nan"),
        ("/=inf", "weight inf"),
        ("/=1e999", "weight 1e999"),
        ("/=1e-320", "weight"),
        ("/a#b=1", "fragment"),
        ("/a b=1", "%-encoded"),
        ("/caf\xe9", "%-encoded"),
        ("/a\r\nX-Evil: 1", "%-encoded"),
        ("/\x1b[2J", "%-encoded"),
        ("/a=70%", "%25"),
        ("/%zz", "%25"),
        ("/" + "a" * 9000, "longer than 8000"),
    ],
)
def test_what_is_no_route_is_a_usage_error(text: str, says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_endpoints([text])
    assert says in caught.value.message
    assert caught.value.message.startswith("--endpoint ")
    assert caught.value.message.isprintable()
    assert caught.value.exit_code == 2


def test_a_route_given_twice() -> None:
    with pytest.raises(InvalidInput, match="/a is given twice"):
        parse_endpoints(["/a=1", "/b", "/a=2"])


def test_too_many_routes() -> None:
    with pytest.raises(InvalidInput, match="at most 50"):
        parse_endpoints([f"/{number}" for number in range(51)])


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.from_regex(r"/[a-z?=&%0-9]{0,12}(=[0-9.e-]{1,8})?", fullmatch=True),
        ),
        max_size=5,
    )
)
def test_whatever_is_given_is_routes_or_a_usage_error(texts: list[str]) -> None:
    try:
        routes = parse_endpoints(texts)
    except InvalidInput as error:
        assert error.message.isprintable()  # noqa: PT017 - either outcome is right
        return
    assert len({route.path for route in routes}) == len(texts)
    assert all(route.path.startswith("/") and 0 < route.weight <= 1 for route in routes)
    assert not texts or sum(route.weight for route in routes) == pytest.approx(1)
