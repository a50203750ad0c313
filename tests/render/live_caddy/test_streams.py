"""WebSockets and event streams through the rendered Caddy, and over its reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.render.live_common.streams import (
    check_events,
    check_websocket,
    emit,
    event,
    websocket,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

ROUTES = {"/ws": "websocket", "/events": "stream"}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(routes=ROUTES)


@pytest.fixture(scope="module")
def plain(start: Callable[..., Site]) -> Site:
    """Nobody said that a route streams."""
    return start()


def test_events_arrive_one_by_one_and_are_not_packed(site: Site) -> None:
    check_events(site)


def test_where_nobody_said_so_caddy_knows_them_by_their_type(plain: Site) -> None:
    """2.6 does too, but holds the head back until it knows whether to pack: the first event."""
    if plain.program.is_old:
        with plain.client(timeout=1) as client, pytest.raises(httpx.ReadTimeout):
            client.get("/events")
        return
    check_events(plain)


def test_a_websocket_carries_both_ways_and_its_route_answers_requests(site: Site) -> None:
    check_websocket(site)


def test_an_event_stream_outlives_a_reload(site: Site) -> None:
    with site.client() as client, client.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        for round_ in ("before", "after"):
            emit(site, round_)
            assert event(lines) == f"data: {round_}"
            site.reload()


def test_a_websocket_outlives_a_reload_where_caddy_can(site: Site) -> None:
    """2.6 has no stream_close_delay, and its file says so: it closes them all at once."""
    with connect(websocket(site), proxy=None) as socket:
        socket.send("before")
        assert socket.recv(timeout=5) == "before"
        site.reload()
        if site.program.is_old:
            with pytest.raises(ConnectionClosed):
                socket.recv(timeout=5)
            return
        socket.send("after")
        assert socket.recv(timeout=5) == "after"
