"""One HTTP/1.1 connection of the load: send a GET, parse the answer, tell the engine.

A bare asyncio protocol with httptools' parser: about 1/50 of httpx's CPU per request, so that
the generator does not become what is measured (FACTS: clients compared; benchmarks/client.py).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from advisor.probe.load.engine import Engine

HTTP_ERROR = 400


class Connection(asyncio.Protocol):
    """Has at most one request in flight; `sent_at` is 0 while it has none."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transport: asyncio.Transport | None = None
        self.sent_at = 0.0
        self.since = 0.0
        self.route = 0
        self.received = 0
        self.bad_status = 0
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands (asyncio calls this)."""
        self.transport = cast("asyncio.Transport", transport)
        self.engine.opened(self, transport.get_extra_info("sockname"))

    def send(self, route: int, request: bytes, *, since: float, now: float) -> None:
        """Send a request; its response time counts from `since`, its time-out from `now`."""
        if self.transport is None or self.transport.is_closing():
            return
        self.received = 0
        self.bad_status = 0
        self.route, self.since, self.sent_at = route, since, now
        tally = self.engine.tally
        tally.sent += 1
        tally.bytes_out += len(request)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer has come (asyncio)."""
        self.received += len(data)
        self.engine.tally.bytes_in += len(data)
        most = self.engine.caps.answer_bytes
        if self.received > most:
            self.fail(f"an answer longer than {most // 1024**2} MiB")
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"no HTTP: {error}")

    def on_headers_complete(self) -> None:
        """The status is known (httptools calls this)."""
        status = self.parser.get_status_code()
        self.bad_status = status if status >= HTTP_ERROR else 0

    def on_message_complete(self) -> None:
        """The answer is whole (httptools)."""
        if not self.sent_at or self.parser.get_status_code() < 200:
            return
        self._count()
        if self.parser.should_keep_alive():
            # A parser is done with one answer and takes up the next by itself.
            self.engine.ready(self)
        elif self.transport:
            self.transport.close()

    def _count(self) -> None:
        tally = self.engine.tally
        if self.bad_status:
            tally.failed(f"status {self.bad_status}", self.route)
        else:
            tally.answered(self.route, time.perf_counter() - self.since)
        self.sent_at = 0.0

    def fail(self, reason: str) -> None:
        """Give up on the answer and on the connection."""
        if self.sent_at:
            self.engine.tally.failed(reason, self.route)
            self.sent_at = 0.0
        if self.transport:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, by either side (asyncio)."""
        if self.sent_at:
            # An answer without a length ends with its connection: that is a good end.
            if self.received and not exc and self.parser.get_status_code():
                self._count()
            else:
                self.engine.tally.failed("connection closed before the answer", self.route)
            self.sent_at = 0.0
        self.engine.lost(self)
