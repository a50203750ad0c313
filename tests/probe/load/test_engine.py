from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from advisor.probe.address import Endpoint
from advisor.probe.load.engine import Engine

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve(handle: Handler, work: Callable[[Engine], Awaitable[None]]) -> Engine:
    """Run `work` on an engine whose server answers by `handle`."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = Engine(Endpoint("http", "127.0.0.1", "127.0.0.1", port, "/a?b=1"))
    try:
        await work(engine)
    finally:
        engine.close()
        server.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*rest, return_exceptions=True)
    return engine


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def answering(answer: bytes, *, close: bool = False) -> tuple[Handler, list[bytes]]:
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer)
                await writer.drain()
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return handle, requests


def test_only_gets_leave_and_all_are_answered() -> None:
    handle, requests = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(4)
        await until(lambda: len(engine.tally.latencies) > 100)
        await engine.drain()
        assert engine.in_flight == 0

    engine = asyncio.run(serve(handle, work))
    assert engine.tally.errors == 0
    assert len(engine.tally.latencies) == engine.tally.sent == len(requests)
    assert {request.split(b"\r\n")[0] for request in requests} == {b"GET /a?b=1 HTTP/1.1"}
    assert len(engine.peers) == 4


def test_a_server_that_closes_after_each_answer_is_reconnected_to() -> None:
    handle, _ = answering(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), close=True)

    async def work(engine: Engine) -> None:
        engine.run_at(2)
        await until(lambda: len(engine.tally.latencies) > 20)

    engine = asyncio.run(serve(handle, work))
    assert engine.tally.errors == 0
    assert len(engine.peers) > 10


def test_an_answer_that_ends_with_its_connection() -> None:
    handle, _ = answering(b"HTTP/1.0 200 OK\r\n\r\nall of it", close=True)

    async def work(engine: Engine) -> None:
        engine.run_at(1)
        await until(lambda: len(engine.tally.latencies) > 5)

    assert asyncio.run(serve(handle, work)).tally.errors == 0


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "status 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
    ],
)
def test_bad_answers_are_errors(answer: bytes, says: str) -> None:
    handle, _ = answering(answer)

    async def work(engine: Engine) -> None:
        engine.run_at(1)
        await until(lambda: engine.tally.errors > 0)

    engine = asyncio.run(serve(handle, work))
    assert len(engine.tally.latencies) == 0
    assert says in str(engine.tally.last_error)


def test_a_body_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.probe.load.engine.MAX_ANSWER_BYTES", 100_000)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 10_000)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def work(engine: Engine) -> None:
        engine.run_at(1)
        await until(lambda: engine.tally.errors > 0)

    assert "an answer longer than" in str(asyncio.run(serve(handle, work)).tally.last_error)


def test_a_request_without_an_answer_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.probe.load.engine.REQUEST_TIMEOUT_S", 0.05)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work(engine: Engine) -> None:
        engine.run_at(1)

        def expired() -> bool:
            engine.expire()
            return engine.tally.errors > 0

        await until(expired)

    assert "no answer within" in str(asyncio.run(serve(handle, work)).tally.last_error)


def test_fewer_connections_after_a_drain() -> None:
    handle, _ = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(8)
        await until(lambda: len(engine.open) == 8)
        await engine.drain()
        engine.run_at(2)
        await until(lambda: len(engine.open) == 2)

    assert asyncio.run(serve(handle, work)).tally.errors == 0
