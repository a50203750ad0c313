from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from advisor.probe.address import Endpoint
from advisor.probe.load.arrivals import Arrivals
from advisor.probe.load.engine import Engine
from advisor.probe.load.tally import Caps

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serve(
    handle: Handler, work: Callable[[Engine], Awaitable[None]], **made: object
) -> Engine:
    """Run `work` on an engine whose server answers by `handle`."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    engine = Engine(Endpoint("http", "127.0.0.1", "127.0.0.1", port, "/a?b=1"), **made)
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


def test_a_body_that_never_ends_is_cut_off() -> None:
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

    engine = asyncio.run(serve(handle, work, caps=Caps(answer_bytes=100_000)))
    assert "an answer longer than" in str(engine.tally.last_error)


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A byte of the headers now and then, for ever."""
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.01)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


@pytest.mark.parametrize("handle", [silent, trickle], ids=["silent", "trickling"])
def test_a_request_without_a_whole_answer_expires(handle: Handler) -> None:

    async def work(engine: Engine) -> None:
        engine.run_at(1)

        def expired() -> bool:
            engine.expire()
            return engine.tally.errors > 0

        await until(expired)

    engine = asyncio.run(serve(handle, work, caps=Caps(request_s=0.05)))
    assert "no answer within" in str(engine.tally.last_error)


def test_fewer_connections_after_a_drain() -> None:
    handle, _ = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(8)
        await until(lambda: len(engine.open) == 8)
        await engine.drain()
        engine.run_at(2)
        await until(lambda: len(engine.open) == 2)

    assert asyncio.run(serve(handle, work)).tally.errors == 0


def test_no_more_connections_than_the_cap_whatever_it_is_told() -> None:
    handle, _ = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(50)
        await until(lambda: len(engine.tally.latencies) > 200)
        assert len(engine.open) == 3
        await engine.drain()

    assert len(asyncio.run(serve(handle, work, caps=Caps(connections=3))).peers) == 3


def test_the_cap_holds_for_arrivals_too() -> None:
    handle, _ = answering(OK)

    async def work(engine: Engine) -> None:
        engine.open_loop(50)
        for _ in range(60):
            engine.arrive(time.perf_counter())
        await until(lambda: len(engine.tally.latencies) == 60)
        await engine.drain()

    assert len(asyncio.run(serve(handle, work, caps=Caps(connections=3))).peers) == 3


def to_port(port: int, seconds: float, **caps: float) -> Engine:
    """An engine that has loaded a port of this host, on one connection, for so long."""

    async def load() -> Engine:
        engine = Engine(
            Endpoint("http", "127.0.0.1", "127.0.0.1", port, "/"), caps=replace(Caps(), **caps)
        )
        engine.run_at(1)
        await asyncio.sleep(seconds)
        engine.close()
        return engine

    return asyncio.run(load())


def test_a_server_that_accepts_nobody_is_given_up() -> None:
    """Its backlog is full, so the kernel answers no one."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf, ExitStack() as stack:
        for _ in range(4):
            queued = stack.enter_context(socket.socket())
            queued.setblocking(False)
            queued.connect_ex(deaf.getsockname())
        engine = to_port(deaf.getsockname()[1], 0.6, request_s=0.2)
    assert engine.tally.last_error == "cannot connect: timed out"


def test_a_server_that_refuses_is_not_hammered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert 1 <= to_port(port, 0.5).tally.errors <= 12


def test_the_byte_cap_ends_the_load() -> None:
    handle, requests = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(2)
        await until(lambda: engine.spent)
        await engine.drain()
        sent = engine.tally.sent
        engine.run_at(2)
        await asyncio.sleep(0.05)
        assert engine.tally.sent == sent

    engine = asyncio.run(serve(handle, work, caps=Caps(total_bytes=20_000)))
    assert engine.tally.bytes_in + engine.tally.bytes_out < 21_000
    assert engine.tally.bytes_out == sum(map(len, requests))


def test_the_rate_cap_holds_a_fast_server_back() -> None:
    handle, _ = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(8)
        await asyncio.sleep(0.5)
        await engine.drain()

    # What it may send at once, and what the rate allows over half a second and some more.
    engine = asyncio.run(serve(handle, work, caps=Caps(requests_per_s=200)))
    assert 900 < engine.tally.sent <= 1000 + 200 * 2


def test_the_routes_of_a_mix_are_sent_by_their_weights() -> None:
    handle, requests = answering(OK)

    async def work(engine: Engine) -> None:
        engine.run_at(4)
        await until(lambda: len(engine.tally.latencies) > 400)
        await engine.drain()
        engine.mix.only("/rare")
        engine.run_at(1)
        alone = len(engine.tally.routes)
        await until(lambda: len(engine.tally.routes) > alone + 20)
        assert set(engine.tally.routes[alone:]) == {1}
        engine.mix.everything()

    engine = asyncio.run(serve(handle, work, routes={"/often": 9.0, "/rare": 1.0}))
    counts = [sum(path in r for r in requests[:400]) for path in (b"GET /often ", b"GET /rare ")]
    assert sum(counts) == 400
    assert 25 <= counts[1] <= 55
    assert len(engine.tally.routes) == len(engine.tally.latencies)


def test_open_loop_latencies_count_from_the_planned_moment() -> None:
    """A server that stalls is charged for the requests that fell due meanwhile."""
    stalled = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await stalled.wait()
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def work(engine: Engine) -> None:
        engine.open_loop(2)
        with Arrivals(engine, 1000) as arrivals:
            await until(lambda: arrivals.offered.requests >= 50)
            stalled.set()
            await until(lambda: len(engine.tally.latencies) >= 50)
        await engine.drain()

    engine = asyncio.run(serve(handle, work))
    early, late = engine.tally.latencies[0], engine.tally.latencies[40]
    assert len(engine.peers) == 2
    assert early > late  # the first fell due long before the forty-first
    assert early > 0.03  # about fifty arrivals at a thousand a second


def test_open_loop_keeps_the_rate_over_connections_that_close() -> None:
    handle, _ = answering(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), close=True)

    async def work(engine: Engine) -> None:
        engine.open_loop(32)
        with Arrivals(engine, 400) as arrivals:
            await until(lambda: arrivals.offered.requests >= 100)
            offered.append(arrivals.offered.requests)
        await engine.drain()

    offered: list[int] = []
    engine = asyncio.run(serve(handle, work))
    assert engine.tally.errors == 0
    assert len(engine.tally.latencies) >= offered[0]
