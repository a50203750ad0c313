"""Slow clients before an app that has one worker and serves one request at a time."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.render.live.site import WSGI
from tests.render.live_common.clients import UNFINISHED, UPLOAD, slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

OVERTAKING = 20


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(app=WSGI, pins={"gunicorn.worker_class": "sync"})


def test_an_unfinished_head_holds_nobody(site: Site) -> None:
    with slow(socket.socket(), ("127.0.0.1", site.port), UNFINISHED), site.client() as client:
        assert [client.get("/").status_code for _ in range(3)] == [200] * 3


def test_a_slow_upload_holds_caddy_and_not_the_worker(site: Site) -> None:
    """Where Caddy buffers within a bound (2.6.4); 2.6.2 does not, and its file says so."""
    with slow(socket.socket(), ("127.0.0.1", site.port), UPLOAD), site.client(timeout=1) as client:
        if site.program.is_old:
            # Requests that overtake the upload are served.
            with pytest.raises(httpx.ReadTimeout):
                assert not [client.get("/") for _ in range(OVERTAKING)]
            return
        assert [client.get("/").status_code for _ in range(3)] == [200] * 3
