"""WebSockets and event streams through the rendered nginx, and over its reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
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

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

ROUTES = {"/ws": "websocket", "/events": "stream", "/cached": {"microcache": "60s"}}
LIMITS = {"rate_per_client_rps": 1000}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    """With limits and a cache beside the streams, which must not get in their way."""
    return start(routes=ROUTES, limits=LIMITS)


@pytest.fixture(scope="module")
def plain(start: Callable[..., Site]) -> Site:
    """Nobody said that a route streams."""
    return start()


def one_event(site: Site, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as stream:
        emit(site, "one")
        assert event(stream.iter_lines()) == "data: one"


def test_events_arrive_one_by_one_and_are_not_packed(site: Site) -> None:
    check_events(site)


def test_elsewhere_they_would_wait_in_nginxs_buffer(plain: Site) -> None:
    """Or the test above would prove nothing."""
    with plain.client(timeout=1) as client, pytest.raises(httpx.ReadTimeout):
        one_event(plain, client)


def test_a_websocket_carries_both_ways_and_its_route_answers_requests(site: Site) -> None:
    check_websocket(site)


def test_both_outlive_a_reload(site: Site) -> None:
    with (
        connect(websocket(site), proxy=None) as socket,
        site.client() as client,
        client.stream("GET", "/events") as stream,
    ):
        lines = stream.iter_lines()
        for round_ in ("before", "after"):
            socket.send(round_)
            assert socket.recv(timeout=5) == round_
            emit(site, round_)
            assert event(lines) == f"data: {round_}"
            site.reload()
        with site.client() as other, connect(websocket(site), proxy=None) as another:
            assert other.get("/").status_code == 200
            another.send("new")
            assert another.recv(timeout=5) == "new"
