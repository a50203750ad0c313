"""What a probe never does, seen on real servers: it stops, it keeps small, it cleans up."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from advisor.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Measurement

pytestmark = pytest.mark.daemon


def measure(url: str) -> Measurement:
    return probe(url, on_progress=lambda _line: None)


def test_only_gets_leave_and_the_processes_are_left_as_they_were(
    serve: Callable[..., str], tmp_path: Path
) -> None:
    base = serve("uvicorn", "asgi_app:app", "--log-level", "info")
    port = int(base.rpartition(":")[2])
    before = booted(1)
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    seen = measure(f"{base}/wait")
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert {p.pid for p in psutil.Process().children(recursive=True)} == before
    ours = [c for c in psutil.Process().net_connections() if c.raddr and c.raddr.port == port]
    assert ours == []
    assert seen.target.workers == 1
    assert seen.target.pid in before
    log = (tmp_path / "server.log").read_text(encoding="utf-8")
    requests = re.findall(r'"([A-Z]+) (\S+) HTTP/1.1"', log)
    assert {method for method, _ in requests} <= {"GET", "HEAD"}
    assert {path for _, path in requests} == {"/wait", "/healthz", "/health", "/ping"}
    # What the probe says that it sent is what came; the fixture waited for the app with some.
    came = sum(path == "/wait" for _, path in requests)
    assert came <= seen.cost.requests <= len(requests)


def booted(count: int) -> set[int]:
    """The PIDs below this process, once they are so many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pids = {process.pid for process in psutil.Process().children(recursive=True)}
        if len(pids) == count:
            return pids
        time.sleep(0.05)
    raise AssertionError(f"not {count} processes within 30 s")


class Visitor(threading.Thread):
    """Somebody else who uses the app, until told to stop."""

    def __init__(self, port: int, *, keep: bool) -> None:
        super().__init__(daemon=True)
        self.port, self.keep = port, keep
        self.stop = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        while not self.stop.wait(0.2):
            if not self.keep:
                connection.close()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        connection.close()


@pytest.mark.parametrize("keep", [True, False], ids=["kept alive", "new connections"])
def test_beside_others_there_is_no_knee(serve: Callable[..., str], keep: bool) -> None:
    base = serve("uvicorn", "asgi_app:app")
    visitor = Visitor(int(base.rpartition(":")[2]), keep=keep)
    visitor.start()
    try:
        seen = measure(f"{base}/compute")
    finally:
        visitor.stop.set()
        visitor.join()
    assert seen.limiter.verdict == "unknown"
    assert "others use the app" in seen.limiter.why
    assert seen.throughput.knee_rps is None
    assert [step.connections for step in seen.throughput.steps] == [1]
    assert seen.cpu_per_request_s is not None


def test_others_who_come_in_the_middle_end_the_knee(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "asgi_app:app")
    visitor = Visitor(int(base.rpartition(":")[2]), keep=True)

    def progress(line: str) -> None:
        if line.strip().startswith("4 connections"):
            visitor.start()

    try:
        seen = probe(f"{base}/wait", on_progress=progress)
    finally:
        visitor.stop.set()
        visitor.join()
    assert seen.throughput.knee_rps is None
    assert seen.throughput.open_loop is None
    assert max(step.connections for step in seen.throughput.steps) <= 16
    assert "others use the app" in seen.limiter.why


def test_an_idle_pool_old_time_waits_and_workers_that_still_boot_are_nobody(
    serve: Callable[..., str],
) -> None:
    command = "gunicorn wsgi_app:app --workers 3 --threads 2 --keep-alive 60"
    base = serve(*command.split(), ready="/compute")
    port = int(base.rpartition(":")[2])
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /compute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while client.recv(65536):
                pass
    pooled = http.client.HTTPConnection("127.0.0.1", port)
    pooled.request("GET", "/compute")
    pooled.getresponse().read()
    seen = measure(f"{base}/compute")
    pooled.close()
    assert seen.throughput.knee_rps is not None
    assert seen.target.workers == 3


def test_workers_that_still_boot_are_waited_for(
    serve: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answers while the others import, which would count as what requests cost."""
    monkeypatch.setenv("BOOTED_FOLDER", str(tmp_path))
    base = serve("gunicorn", "booting_app:app", "--workers", "3", ready="/")
    booted: list[int] = []

    def progress(line: str) -> None:
        if line.startswith("Watching") and not booted:
            booted.append(len(list(tmp_path.glob("worker-*"))))

    seen = probe(f"{base}/", on_progress=progress)
    assert booted == [3]
    assert seen.throughput.knee_rps is not None


def test_it_stops_when_errors_rise(serve: Callable[..., str]) -> None:
    seen = measure(serve("uvicorn", "fragile_app:app") + "/fails")
    worst = seen.throughput.steps[-1]
    assert worst.connections == 8
    assert worst.errors > 0
    assert seen.throughput.knee_rps is None
    assert seen.throughput.open_loop is None
    assert re.search(r"failed|\(steal\)", seen.limiter.why)


def test_it_stops_when_responses_take_ten_times_as_long(serve: Callable[..., str]) -> None:
    seen = measure(serve("uvicorn", "fragile_app:app") + "/crawls")
    assert seen.throughput.steps[-1].connections == 16
    assert seen.cost.duration_s <= 30
