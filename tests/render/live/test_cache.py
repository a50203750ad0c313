"""The micro-cache: one answer for everybody, and never somebody's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.render.live_common.running import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

ROUTES = {"/cached": {"microcache": "60s"}, "/short": {"microcache": "1s"}, "/ws": "websocket"}
AT_ONCE = 20


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(routes=ROUTES)


def count(site: Site, path: str, **headers: str) -> int:
    """How often the app had been asked for the path when it gave this answer."""
    with site.client() as client:
        answer = client.get(path, headers=headers)
    return int(answer.json()["n"])


def test_an_answer_serves_everybody(site: Site) -> None:
    assert [count(site, "/cached/hit") for _ in range(5)] == [1] * 5
    assert [count(site, "/cached") for _ in range(5)] == [1] * 5


def test_another_query_or_host_is_another_answer(site: Site) -> None:
    assert count(site, "/cached/key?a=1") == 1
    assert count(site, "/cached/key?a=2") == 2
    assert count(site, "/cached/key?a=1", Host="other.example") == 3
    assert count(site, "/cached/key?a=1") == 1


@pytest.mark.parametrize("path", ["/other", "/cachedx", "/ws"])
def test_no_other_route_is_kept(site: Site, path: str) -> None:
    assert [count(site, path) for _ in range(3)] == [1, 2, 3]


def test_of_many_who_miss_at_once_one_asks_the_app(site: Site) -> None:
    together = threading.Barrier(AT_ONCE)

    def ask(_: int) -> int:
        together.wait()
        return count(site, "/cached/burst?wait=0.5")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(ask, range(AT_ONCE))) == [1] * AT_ONCE


@pytest.mark.parametrize(
    "own",
    [{"Cookie": "session=1"}, {"Authorization": "Bearer one"}],
    ids=lambda own: next(iter(own)),
)
def test_who_is_signed_in_is_given_nothing_kept_and_leaves_nothing(
    site: Site, own: dict[str, str]
) -> None:
    path = f"/cached/own/{next(iter(own))}"
    assert [count(site, path, **own) for _ in range(2)] == [1, 2]
    assert [count(site, path) for _ in range(2)] == [3, 3]
    assert count(site, path, **own) == 4
    assert count(site, path) == 3


@pytest.mark.parametrize(
    "query",
    [
        "header=Set-Cookie:session=1",
        "header=Cache-Control:private",
        "header=Cache-Control:no-store",
        "status=500",
        "status=404",
    ],
)
def test_somebodys_own_answer_or_an_error_is_not_kept(site: Site, query: str) -> None:
    path = f"/cached/not/{query}?{query}"
    assert [count(site, path) for _ in range(3)] == [1, 2, 3]


def test_a_post_reaches_the_app(site: Site) -> None:
    assert count(site, "/cached/post") == 1
    with site.client() as client:
        posted: list[Any] = [client.post("/cached/post", content=b"x").json() for _ in range(2)]
    assert [answer["n"] for answer in posted] == [2, 3]
    assert count(site, "/cached/post") == 1


def test_a_kept_answer_grows_old(site: Site) -> None:
    assert count(site, "/short") == 1
    until(lambda: count(site, "/short") > 1, "a new copy")
