"""nginx's counters."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.demo.processes import free_port
from advisor.errors import GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe.passive.stub_status import Counters, StubStatus, parse

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (
    "Active connections: 291 \nserver accepts handled requests\n"
    " 16630948 16630947 31070465 \nReading: 6 Writing: 179 Waiting: 106 \n"
)


def test_the_page() -> None:
    assert parse(PAGE) == Counters(291, 16630948, 16630947, 31070465)
    # Tengine has one more column.
    more = PAGE.replace("requests\n", "requests request_time\n").replace("465 \n", "465 12 \n")
    assert parse(more) == parse(PAGE)


@given(st.text())
def test_any_page_is_read_or_not(page: str) -> None:
    assert parse(page) is None


def count(url: str) -> int:
    async def go() -> int:
        async with StubStatus(url) as page:
            return await page.since_last()

    return asyncio.run(go())


def test_it_never_leaves_this_host() -> None:
    with pytest.raises(GuardRefused):
        count("http://192.0.2.1/nginx_status")
    with pytest.raises(GuardRefused):
        count("http://169.254.169.254/")


def test_nobody_there() -> None:
    with pytest.raises(TooLittleEvidence, match="ConnectError"):
        count(f"http://127.0.0.1:{free_port()}/")


class Counting(BaseHTTPRequestHandler):
    """An nginx whose counters are given: itself counted, and started again before the last."""

    counters: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE.replace("31070465", str(self.counters.pop(0))).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_its_own_reading_is_no_request_and_a_restart_none_that_is_missing() -> None:
    Counting.counters = [10, 11, 15, 2, 3]

    async def go(url: str) -> list[int]:
        async with StubStatus(url) as page:
            return [await page.since_last() for _ in range(5)]

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        told = asyncio.run(go(f"http://127.0.0.1:{served.server_port}/"))
        served.shutdown()
    assert told == [0, 0, 3, 0, 0]


@pytest.mark.daemon
def test_a_page_that_never_ends_is_given_up(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "asgi_app:app")
    with pytest.raises(TooLittleEvidence, match="TimeoutError"):
        count(f"{base}/endless")


@pytest.mark.daemon
@pytest.mark.parametrize("path", ["/large", "/missing", "/broken"])
def test_another_page_is_refused(serve: Callable[..., str], path: str) -> None:
    base = serve("uvicorn", "asgi_app:app")
    with pytest.raises(InvalidInput, match="no stub_status page"):
        count(base + path)
