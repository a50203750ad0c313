"""An idle connection that the app closes as nginx reuses it is a 502 (gunicorn#3323).

The app's event loop is kept busy, as a blocking call does it: between the end of a connection's
time and its closing lies then a turn of the loop, in which nginx may send a request on it. Only
a POST shows that, since nginx sends a GET again. Requests are sent at set times, because idle
times are what the test is about.
"""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

IDLE_S = 1
TURN_S = 0.05
BUSY = 3
CONNECTIONS = 8
CYCLES = 5
ASGI = {"gunicorn.worker_class": "asgi", "gunicorn.asgi_loop": "asyncio"}


@contextlib.contextmanager
def busy(site: Site) -> Iterator[None]:
    """Connections past nginx whose requests block the app's loop, a turn at a time."""
    over = threading.Event()

    def block() -> None:
        with site.app() as client:
            while not over.is_set():
                client.get("/busy", params={"block": TURN_S / BUSY})

    with ThreadPoolExecutor(BUSY) as pool:
        blocking = [pool.submit(block) for _ in range(BUSY)]
        try:
            yield
        finally:
            over.set()
    for each in blocking:
        each.result()


def at_once(site: Site, moments: list[float]) -> list[int]:
    """The statuses of as many POSTs, each sent at its moment; all are under way at a time."""

    def post(moment: float) -> int:
        with site.client() as client:
            time.sleep(max(0.0, moment - time.monotonic()))
            return client.post("/order", params={"wait": 0.2}, content=b"one").status_code

    with ThreadPoolExecutor(len(moments)) as pool:
        return list(pool.map(post, moments))


def cycle(site: Site) -> list[int]:
    """Opens connections to the app, and uses them again around the end of their idle time."""
    statuses = at_once(site, [time.monotonic()] * CONNECTIONS)
    end = time.monotonic() + IDLE_S
    time.sleep(IDLE_S - 4 * TURN_S)
    with busy(site):
        around = [end + TURN_S * number / CONNECTIONS for number in range(CONNECTIONS)]
        return statuses + at_once(site, around)


def test_no_502_while_the_app_outlasts_nginx(start: Callable[..., Site]) -> None:
    site = start(pins=ASGI | {"nginx.upstream_keepalive_timeout": IDLE_S})
    for _ in range(CYCLES):
        assert cycle(site) == [200] * 2 * CONNECTIONS


def test_the_other_way_round_it_is_a_502(start: Callable[..., Site]) -> None:
    """Or the test above would prove nothing."""
    pins = {"nginx.upstream_keepalive_timeout": 60, "gunicorn.keepalive": IDLE_S}
    site = start(pins=ASGI | pins)
    assert any(502 in cycle(site) for _ in range(2 * CYCLES))
