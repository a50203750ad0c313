"""Event streams and WebSockets through a proxy, a message at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.render.live_common.clients import Served

PACKED = {"Accept-Encoding": "gzip"}


def emit(site: Served, text: str) -> None:
    """Have the app tell its event streams something."""
    with site.app() as client:
        assert client.post("/emit", params={"text": text}).status_code == 200


def event(lines: Iterator[str]) -> str:
    """The next event; a read that waits for it in vain raises `ReadTimeout`."""
    return next(line for line in lines if line)


def websocket(site: Served) -> str:
    return f"ws://127.0.0.1:{site.port}/ws"


def check_events(site: Served) -> None:
    """They arrive one by one, and are not packed."""
    with site.client() as client, client.stream("GET", "/events", headers=PACKED) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert "content-encoding" not in stream.headers
        lines = stream.iter_lines()
        for text in ("one", "two", "three"):
            emit(site, text)
            assert event(lines) == f"data: {text}"


def check_websocket(site: Served) -> None:
    """It carries both ways, and its route answers ordinary requests too."""
    with connect(websocket(site), proxy=None) as socket:
        for text in ("one", "two", "x" * 100_000):
            socket.send(text)
            assert socket.recv(timeout=5) == text
    with site.client() as client:
        assert client.get("/ws").json()["path"] == "/ws"
        assert client.get("/ws/below").json()["path"] == "/ws/below"
