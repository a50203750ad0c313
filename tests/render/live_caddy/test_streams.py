"""WebSockets and event streams through the rendered Caddy, and over its reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

ROUTES = {"/ws": "websocket", "/events": "stream"}
PACKED = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(routes=ROUTES)


@pytest.fixture(scope="module")
def plain(start: Callable[..., Site]) -> Site:
    """Nobody said that a route streams."""
    return start()


def emit(site: Site, text: str) -> None:
    with site.app() as client:
        assert client.post("/emit", params={"text": text}).status_code == 200


def event(lines: Iterator[str]) -> str:
    """The next event; a read that waits for it in vain raises `ReadTimeout`."""
    return next(line for line in lines if line)


def websocket(site: Site) -> str:
    return f"ws://127.0.0.1:{site.port}/ws"


def check_events(site: Site) -> None:
    with site.client() as client, client.stream("GET", "/events", headers=PACKED) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert "content-encoding" not in stream.headers
        lines = stream.iter_lines()
        for text in ("one", "two", "three"):
            emit(site, text)
            assert event(lines) == f"data: {text}"


def test_events_arrive_one_by_one_and_are_not_packed(site: Site) -> None:
    check_events(site)


def test_where_nobody_said_so_caddy_knows_them_by_their_type(plain: Site) -> None:
    """2.6 does too, but holds the head back until it knows whether to pack: the first event."""
    if plain.program.is_old:
        with plain.client(timeout=1) as client, pytest.raises(httpx.ReadTimeout):
            client.get("/events")
        return
    check_events(plain)


def test_a_websocket_carries_both_ways(site: Site) -> None:
    with connect(websocket(site), proxy=None) as socket:
        for text in ("one", "two", "x" * 100_000):
            socket.send(text)
            assert socket.recv(timeout=5) == text


def test_the_websockets_route_answers_ordinary_requests_too(site: Site) -> None:
    with site.client() as client:
        assert client.get("/ws").json()["path"] == "/ws"
        assert client.get("/ws/below").json()["path"] == "/ws/below"


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
