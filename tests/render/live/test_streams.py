"""WebSockets and event streams through the rendered nginx, and over its reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def emit(site: Site, text: str) -> None:
    with site.app() as client:
        assert client.post("/emit", params={"text": text}).status_code == 200


def event(lines: Iterator[str]) -> str:
    """The next event; a read that waits for it in vain raises `ReadTimeout`."""
    return next(line for line in lines if line)


def one_event(site: Site, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as stream:
        emit(site, "one")
        assert event(stream.iter_lines()) == "data: one"


def websocket(site: Site) -> str:
    return f"ws://127.0.0.1:{site.port}/ws"


def test_events_arrive_one_by_one_and_are_not_packed(site: Site) -> None:
    with site.client() as client, client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert "content-encoding" not in stream.headers
        lines = stream.iter_lines()
        for text in ("one", "two", "three"):
            emit(site, text)
            assert event(lines) == f"data: {text}"


def test_elsewhere_they_would_wait_in_nginxs_buffer(plain: Site) -> None:
    """Or the test above would prove nothing."""
    with plain.client(timeout=1) as client, pytest.raises(httpx.ReadTimeout):
        one_event(plain, client)


def test_a_websocket_carries_both_ways(site: Site) -> None:
    with connect(websocket(site), proxy=None) as socket:
        for text in ("one", "two", "x" * 100_000):
            socket.send(text)
            assert socket.recv(timeout=5) == text


def test_the_websockets_route_answers_ordinary_requests_too(site: Site) -> None:
    with site.client() as client:
        assert client.get("/ws").json()["path"] == "/ws"
        assert client.get("/ws/below").json()["path"] == "/ws/below"


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
