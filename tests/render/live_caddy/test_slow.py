"""Slow clients before an app that has one worker and serves one request at a time."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.render.conftest import DEADLINE_S
from tests.render.live.site import WSGI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

HEAD = "Host: shop.example\r\nContent-Type: application/octet-stream\r\n"
UPLOAD = f"POST /upload HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n" + "x" * 500
UNFINISHED = "GET / HTTP/1.1\r\nHost: shop"


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(app=WSGI, pins={"gunicorn.worker_class": "sync"})


@contextlib.contextmanager
def slow(site: Site, request: str) -> Iterator[None]:
    """A client that has said so much, and reads nothing."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=DEADLINE_S) as client:
        client.sendall(request.encode())
        yield


def test_an_unfinished_head_holds_nobody(site: Site) -> None:
    with slow(site, UNFINISHED), site.client() as client:
        assert [client.get("/").status_code for _ in range(3)] == [200] * 3


def test_a_slow_upload_holds_caddy_and_not_the_worker(site: Site) -> None:
    """Where Caddy buffers within a bound (2.6.4); 2.6.2 does not, and its file says so."""
    with slow(site, UPLOAD), site.client(timeout=1) as client:
        if site.program.is_old:
            with pytest.raises(httpx.ReadTimeout):
                client.get("/")
            return
        assert [client.get("/").status_code for _ in range(3)] == [200] * 3
