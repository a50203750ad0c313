from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from advisor.demo.processes import free_port, program, running
from advisor.probe import address
from advisor.probe.sample.canary import MAX_CONNECTIONS, TOTAL_S, Canary, canary, owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.probe.sample.traffic import Peer

APPS = Path(__file__).parents[2] / "apps"


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def processes(pid: int) -> tuple[int, ...]:
    return (pid, *(child.pid for child in psutil.Process(pid).children(recursive=True)))


def fly(url: str, pids: tuple[int, ...], ours: set[Peer] | None = None) -> Canary | None:
    endpoint = address.resolve(url)
    ours = set() if ours is None else ours
    return asyncio.run(canary(endpoint, pids, get(endpoint.path), ours=ours))


def middle(url: str, pids: tuple[int, ...]) -> Canary:
    """Of three flights the middle one: a stolen core between two requests moves one flight."""
    flights = [flight for _ in range(3) if (flight := fly(url, pids)) is not None]
    assert len(flights) == 3
    return sorted(flights, key=lambda flight: flight.held_s / flight.alone_s)[1]


def uvicorn(port: int, *words: str) -> list[str]:
    where = ["--app-dir", str(APPS), "--port", str(port), "--timeout-graceful-shutdown", "1"]
    return [program("uvicorn"), "asgi_app:app", *where, *words]


def until_closed(port: int, pids: tuple[int, ...]) -> None:
    """Nobody holds a connection at the port."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        held = [c for pid in pids for c in psutil.Process(pid).net_connections()]
        if not any(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in held):
            return
        time.sleep(0.02)
    raise AssertionError("the server still holds connections")


@pytest.mark.daemon
@pytest.mark.parametrize("workers", [1, 2])
def test_a_blocked_loop_serves_one_after_the_other_and_an_awaiting_one_both(
    tmp_path: Path, workers: int
) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = uvicorn(port, "--workers", str(workers))
    with running(command, url=f"{url}/healthz", log=tmp_path / "log") as pid:
        pids = processes(pid)
        for path in ("/blocked", "/blocked-cpu"):
            seen = middle(url + path, pids)
            assert seen.pid in pids
            assert seen.serialised, (path, seen)
            assert seen.held_s == pytest.approx(seen.alone_s, rel=0.4)
        awaiting = fly(f"{url}/wait", pids)
        assert awaiting is not None
        assert not awaiting.serialised, awaiting
        assert awaiting.alone_s >= 0.02
        assert awaiting.samples >= 10
        until_closed(port, pids)


@pytest.mark.daemon
def test_each_connection_has_one_owner_among_the_workers(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = uvicorn(port, "--workers", "2")
    with running(command, url=f"{url}/healthz", log=tmp_path / "log") as pid:
        pids = processes(pid)
        with socket.create_connection(("127.0.0.1", port)) as ours:
            ours.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert ours.recv(100).startswith(b"HTTP/1.1 200")
            holder = owner(ours.getsockname(), port, pids)
            held = psutil.Process(holder).net_connections()
            assert ours.getsockname() in {tuple(c.raddr) for c in held if c.raddr}
            assert owner(ours.getsockname(), port, [p for p in pids if p != holder]) is None
            assert owner(ours.getsockname(), port + 1, pids) is None
            assert owner(("127.0.0.1", 1), port, pids) is None
            assert owner(("no address", 1), port, pids) is None


@pytest.mark.daemon
def test_its_own_connections_are_known_as_ours(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/healthz"
    ours: set[Peer] = set()
    with running(uvicorn(port), url=url, log=tmp_path / "log") as pid:
        assert fly(url, (pid,), ours) is not None
    assert 2 <= len(ours) <= MAX_CONNECTIONS
    assert {host for host, _ in ours} == {"127.0.0.1"}


@pytest.mark.daemon
def test_a_sync_worker_has_no_second_connection(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/compute"
    command = [program("gunicorn"), "wsgi_app:app", "--chdir", str(APPS), "-b", f"127.0.0.1:{port}"]
    with running(command, url=url, log=tmp_path / "log") as pid:
        pids = processes(pid)
        assert fly(url, pids) is None
        until_closed(port, pids)


@pytest.mark.daemon
@pytest.mark.parametrize("path", ["/never", "/broken", "/endless"])
def test_what_cannot_be_compared_is_given_up_in_time(tmp_path: Path, path: str) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    with running(uvicorn(port), url=f"{url}/healthz", log=tmp_path / "log") as pid:
        began = time.perf_counter()
        assert fly(url + path, (pid,)) is None
        assert time.perf_counter() - began < TOTAL_S + 2
        until_closed(port, (pid,))


@pytest.mark.daemon
def test_other_processes_hold_none_of_ours(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/healthz"
    with running(uvicorn(port), url=url, log=tmp_path / "log"):
        assert fly(url, ()) is None


@pytest.mark.daemon
def test_an_ordinary_user_is_not_told(tmp_path: Path, as_nobody: Callable[[str], str]) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/healthz"
    with running(uvicorn(port), url=url, log=tmp_path / "log") as pid:
        printed = as_nobody(
            "import asyncio\n"
            "from advisor.probe import address\n"
            "from advisor.probe.sample.canary import canary\n"
            f"end = address.resolve({url!r})\n"
            f"print(asyncio.run(canary(end, ({pid},), {get('/healthz')!r}, ours=set())))\n"
        )
    assert printed.strip() == "None"


@pytest.mark.daemon
def test_one_that_is_interrupted_closes_its_connections(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    ours: set[Peer] = set()

    async def interrupted(pid: int) -> None:
        endpoint = address.resolve(f"{url}/wait")
        work = canary(endpoint, (pid,), get(endpoint.path), ours=ours)
        task = asyncio.get_running_loop().create_task(work)
        async with asyncio.timeout(5):
            while len(ours) < 2:  # noqa: ASYNC110 - a set tells nobody that it grows
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with running(uvicorn(port), url=f"{url}/healthz", log=tmp_path / "log") as pid:
        asyncio.run(interrupted(pid))
        until_closed(port, (pid,))


def test_a_unix_socket_is_left_alone() -> None:
    endpoint = address.Endpoint("http", "localhost", "127.0.0.1", 80, "/", socket="/run/absent")
    assert asyncio.run(canary(endpoint, (1,), get("/"), ours=set())) is None


def test_a_server_that_is_not_there() -> None:
    assert fly(f"http://127.0.0.1:{free_port()}/", (1,)) is None


@pytest.mark.parametrize("answer", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nends"])
def test_answers_that_are_no_use(answer: bytes) -> None:
    """A server in this very process, so that the owner is known."""
    import os  # noqa: PLC0415 - here alone

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async def both() -> Canary | None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        endpoint = address.Endpoint("http", "127.0.0.1", "127.0.0.1", port, "/")
        try:
            return await canary(endpoint, (os.getpid(),), get(endpoint.path), ours=set())
        finally:
            server.close()

    assert asyncio.run(both()) is None


@pytest.mark.parametrize(
    ("beside", "serialised"), [(0.019, True), (0.03, True), (0.0105, False), (0.009, False)]
)
def test_what_serialised_means(beside: float, serialised: bool) -> None:
    seen = Canary(pid=1, alone_s=0.01, beside_s=beside, samples=9)
    assert seen.serialised is serialised
    assert seen.held_s == pytest.approx(min(0.01, max(0.0, beside - 0.01)))


def test_a_host_that_slows_down_meanwhile_is_no_blocked_loop() -> None:
    """An awaiting server that takes twice as long from the sixteenth request on."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                served += 1
                await asyncio.sleep(0.010 if served < 16 else 0.020)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the canary has gone
        finally:
            writer.close()

    async def fly_beside() -> Canary | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            endpoint = address.resolve(f"http://127.0.0.1:{port}/")
            found = await canary(endpoint, (os.getpid(),), get("/"), ours=set())
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
            return found

    seen = asyncio.run(fly_beside())
    assert seen is not None
    assert served > 40
    assert not seen.serialised, seen
