"""An idle connection that the app closes as Caddy reuses it is a 502 (caddy#6452).

Between the end of a connection's time and its closing lies a turn of the app's loop, in which
Caddy may send a request on it. With a real app that is rare, and here it is always so: this one
closes a connection whose time is over when the next request has come. Only a POST shows it, since
Go's transport sends a GET again. The test sleeps, because idle times are what it is about.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.render.live_common.clients import SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

IDLE_S = 1
# Around that time; the last is beyond any app's.
PAUSES_S = (0.2, 0.9, 1.0, 1.1, 1.6)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class LateApp:
    """Serves a unix socket, and keeps connections for so long; `opened` counts them."""

    def __init__(self, path: Path, idle_s: float) -> None:
        path.parent.mkdir(parents=True)
        self.idle_s = idle_s
        self.opened = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.opened += 1
                threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            used = time.monotonic()
            while connection.recv(65536) and time.monotonic() - used <= self.idle_s:
                connection.sendall(ANSWER)
                used = time.monotonic()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def behind(start: Callable[..., Site]) -> Iterator[Callable[[int, float], tuple[Site, LateApp]]]:
    """Caddy and an app with these idle times."""
    with contextlib.ExitStack() as stack:

        def make(caddys_s: int, apps_s: float) -> tuple[Site, LateApp]:
            site = start(with_app=False, pins={"caddy.upstream_keepalive_idle": caddys_s})
            app = LateApp(site.folder / SOCKET, apps_s)
            stack.callback(app.close)
            return site, app

        yield make


def posted(site: Site, pause_s: float) -> list[int]:
    """The statuses of a request, and of one after the pause; each comes in one piece."""
    with site.client() as client:
        first = client.post("/order")
        time.sleep(pause_s)
        return [first.status_code, client.post("/order").status_code]


def test_no_502_while_the_app_outlasts_caddy(
    behind: Callable[[int, float], tuple[Site, LateApp]],
) -> None:
    site, app = behind(IDLE_S, 1.5 * IDLE_S)
    for pause_s in PAUSES_S:
        assert posted(site, pause_s) == [200, 200]
    assert 1 < app.opened < 2 * len(PAUSES_S), "connections are kept, and given up in time"


def test_the_other_way_round_it_is_a_502(
    behind: Callable[[int, float], tuple[Site, LateApp]],
) -> None:
    """Or the test above would prove nothing."""
    site, _ = behind(60, IDLE_S)
    assert posted(site, 1.2 * IDLE_S) == [200, 502]
