"""Slow clients before an app that has one worker and serves one request at a time."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.render.live.site import WSGI
from tests.render.live_common.clients import HEAD, SOCKET, UNFINISHED, UPLOAD, slow
from tests.render.live_common.running import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

DOWNLOAD = f"GET /big HTTP/1.1\r\n{HEAD}\r\n"
SLOW = {"upload": UPLOAD, "download": DOWNLOAD, "head": UNFINISHED}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(app=WSGI, pins={"gunicorn.worker_class": "sync"})


@pytest.mark.parametrize("request_", SLOW.values(), ids=SLOW)
def test_it_holds_nginx_and_not_the_worker(site: Site, request_: str) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(slow(socket.socket(), ("127.0.0.1", site.port), request_))
        client = stack.enter_context(site.client())
        assert [client.get("/").status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("request_", SLOW.values(), ids=SLOW)
def test_without_nginx_it_would_hold_the_worker(site: Site, request_: str) -> None:
    """Or the test above would prove nothing."""
    client = socket.socket(socket.AF_UNIX)
    with site.app(timeout=1) as other, slow(client, str(site.folder / SOCKET), request_):
        with pytest.raises(httpx.ReadTimeout):
            other.get("/")
        client.close()
        other.timeout = DEADLINE_S
        assert other.get("/").status_code == 200
