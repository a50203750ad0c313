"""A path means itself and what is below it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from tests.render.kit.nginx_sites import advise, locations, site, texts, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]


@pytest.mark.parametrize(
    ("routes", "matches"),
    [
        ({}, ["/"]),
        ({"/ws": "websocket"}, ["= /ws", "/ws/", "/"]),
        ({"/ws/": "websocket"}, ["/ws/", "/"]),
        ({"/": "stream"}, ["/"]),
        ({"/a": "stream", "/a/b": "websocket"}, ["= /a", "/a/", "= /a/b", "/a/b/", "/"]),
    ],
)
def test_a_route_is_a_path_and_what_is_below(routes: dict[str, Any], matches: list[str]) -> None:
    assert list(locations(site(advise(routes=routes)))) == matches


def test_each_kind_has_its_own_directives() -> None:
    kinds = {"/ws": "websocket", "/events": "stream", "/s": {"microcache": "2s"}}
    found = locations(site(advise(routes=kinds)))
    assert words(found["= /ws"], "proxy_read_timeout") == ["3600s"]
    assert words(found["= /events"], "proxy_read_timeout") == ["3600s"]
    assert words(found["= /events"], "proxy_buffering") == ["off"]
    assert words(found["= /events"], "gzip") == ["off"]
    assert words(found["= /s"], "proxy_cache") == ["shop_cache"]
    for name in ("proxy_read_timeout", "proxy_buffering", "gzip", "proxy_cache"):
        assert not found["/"].all(name)
    assert not found["= /events"].all("add_header")


def test_everything_may_be_of_one_kind() -> None:
    found = locations(site(advise(routes={"/": {"microcache": "1s"}})))
    assert words(found["/"], "proxy_cache_valid") == ["200 1s"]


def test_an_exact_path_and_the_one_below_are_the_same() -> None:
    found = locations(site(advise(routes={"/events": "stream"})))
    assert [(node.name, node.args) for node in found["= /events"].block] == [
        (node.name, node.args) for node in found["/events/"].block
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"routes": {"/a": "stream"}, "static": {"/a/": "/srv/a"}}, "static is a folder there"),
        ({"routes": {"/a/": "stream"}, "static": {"/a": "/srv/a"}}, "static is a folder there"),
        ({"routes": {"/a": "stream", "/a/": "websocket"}}, "/a and /a/ are both routes"),
        (
            {"routes": {"/a": "stream"}, "pins": {"nginx.microcache_valid": ["/a 1s"]}},
            "caches it, and it is a stream",
        ),
    ],
)
def test_a_path_of_two_meanings_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"routes: /a/?: .*{said}"):
        texts(advise(**keys))


def test_a_route_that_no_setting_caches_is_named(make: Make) -> None:
    rec = make(intent={"manage": ["proxy"], "routes": {"/s": {"microcache": "1s"}}})
    text = texts(rec)["nginx/shop.conf"]
    assert "# /s is not cached: nginx.microcache_valid does not name it." in text
    assert "proxy_cache" not in text.replace("nginx.microcache", "")
