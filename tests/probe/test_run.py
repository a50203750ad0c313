"""Real servers, probed as a user would."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from advisor.demo.processes import free_port, program, running
from advisor.errors import AdvisorError, GuardRefused, InvalidInput, TooLittleEvidence
from advisor.host.servers import server_at
from advisor.probe import probe
from advisor.render.stage import main_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from advisor.documents import Measurement

pytestmark = pytest.mark.daemon


def measure(url: str) -> Measurement:
    return probe(url, on_progress=lambda _line: None)


@pytest.mark.parametrize(
    ("command", "route", "verdicts"),
    [
        # One process fills its core while the other idles, or the cores left are all used.
        ("uvicorn asgi_app:app", "/compute", {"concurrency", "cpu"}),
        ("uvicorn asgi_app:app --workers 2", "/blocked", {"event-loop-blocked"}),
        ("uvicorn asgi_app:app", "/threads", {"concurrency"}),
        ("uvicorn asgi_app:app", "/pool", {"concurrency"}),
        ("gunicorn wsgi_app:app --workers 3", "/wait", {"concurrency"}),
        ("gunicorn wsgi_app:app --workers 2 --threads 4", "/wait", {"concurrency"}),
    ],
)
def test_the_limiter_of_real_apps(
    serve: Callable[..., str], command: str, route: str, verdicts: set[str]
) -> None:
    base = serve(*command.split(), ready=route)
    seen = measure(base + route)
    assert seen.limiter.verdict in verdicts, seen.limiter
    assert seen.cpu_per_request_s is not None
    assert 0 < seen.cpu_per_request_s.low <= seen.cpu_per_request_s.high
    assert seen.throughput.knee_rps is not None
    assert seen.cost.duration_s <= 30
    assert sum(worker.share_ratio or 0 for worker in seen.workers) == pytest.approx(1, abs=0.15)


def test_waiting_and_blocking_are_told_apart(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "asgi_app:app")
    blocked, waited = measure(f"{base}/blocked"), measure(f"{base}/pool")
    assert blocked.blocked_per_request_s is not None
    assert waited.blocked_per_request_s is not None
    assert 0.015 < blocked.blocked_per_request_s.value < 0.025
    assert waited.blocked_per_request_s.value < 0.002
    for seen in (blocked, waited):
        assert seen.wait_per_request_s is not None
        assert 0.018 < seen.wait_per_request_s.value < 0.023


def test_what_booting_cost_is_only_said_of_workers_that_have_served_nothing(
    serve: Callable[..., str],
) -> None:
    base = serve("uvicorn", "asgi_app:app")
    first, second = measure(f"{base}/compute"), measure(f"{base}/compute")
    (fresh,), (used,) = first.workers, second.workers
    assert fresh.boot_cpu_s is not None
    assert first.cost.server_cpu_s is not None
    assert 0.05 < fresh.boot_cpu_s < first.cost.server_cpu_s
    assert used.boot_cpu_s is None


def test_the_processes_are_left_as_they_were(serve: Callable[..., str]) -> None:
    base = serve("gunicorn", "wsgi_app:app", "--workers", "2", ready="/compute")
    port = int(base.rpartition(":")[2])
    before = booted(3)
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    seen = measure(f"{base}/compute")
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert {p.pid for p in psutil.Process().children(recursive=True)} == before
    ours = [c for c in psutil.Process().net_connections() if c.raddr and c.raddr.port == port]
    assert ours == []
    assert seen.target.workers == 2
    assert seen.target.pid in before


def booted(count: int) -> set[int]:
    """The PIDs below this process, once they are so many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pids = {process.pid for process in psutil.Process().children(recursive=True)}
        if len(pids) == count:
            return pids
        time.sleep(0.05)
    raise AssertionError(f"not {count} processes within 30 s")


def test_http_facts(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "asgi_app:app")
    private, health = measure(f"{base}/private").http
    large, _ = measure(f"{base}/large").http
    assert (health.path, health.status) == ("/healthz", 200)
    assert private.microcache.value is False
    assert "cookie" in private.microcache.why
    assert private.stable is False
    assert large.microcache.value is True
    assert large.content_type == "text/plain"
    assert large.bytes == 32000
    assert not large.compressed
    assert large.compressible_ratio is not None
    assert large.compressible_ratio < 0.1


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


def test_an_idle_pooled_connection_is_nobody(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "asgi_app:app", "--timeout-keep-alive", "60")
    host, _, port = base.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    seen = measure(f"{base}/compute")
    connection.close()
    assert seen.throughput.knee_rps is not None


@pytest.fixture
def proxied(serve: Callable[..., str], tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A real nginx in front of an app: nginx's URL, and the PID of the app's server."""
    app = serve("uvicorn", "asgi_app:app")
    server, _ = server_at("127.0.0.1", int(app.rpartition(":")[2]))
    assert server is not None
    port = free_port()
    stage = tmp_path / "nginx"
    stage.mkdir()
    (stage / "site.conf").write_text(
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {app}; }} }}\n"
    )
    (stage / "nginx.conf").write_text(main_conf(stage, stage / "site.conf"))
    command = [program("nginx"), "-e", "stderr", "-c", str(stage / "nginx.conf")]
    url = f"http://127.0.0.1:{port}"
    with running(
        [*command, "-p", str(stage), "-g", "daemon off;"],
        url=f"{url}/healthz",
        log=tmp_path / "nginx.log",
    ):
        yield url, server.pid


def test_a_proxys_processes_are_not_the_apps(proxied: tuple[str, int]) -> None:
    url, pid = proxied
    through = measure(f"{url}/compute")
    assert through.target.through == ["nginx"]
    assert through.target.pid is None
    assert through.cpu_per_request_s is None
    assert any("--pid" in gap.remedy for gap in through.unknown)
    told = probe(f"{url}/compute", pid=pid, on_progress=lambda _line: None)
    assert told.target.through == ["nginx"]
    assert told.target.pid == pid
    assert told.cpu_per_request_s is not None


@pytest.mark.parametrize(
    ("route", "error", "says"),
    [
        ("/broken", TooLittleEvidence, "answers 500"),
        ("/locked", TooLittleEvidence, "answers 401"),
        ("/absent", TooLittleEvidence, "answers 404"),
        ("/away", GuardRefused, "redirects to 'http://shop.example/'"),
    ],
)
def test_answers_that_cannot_be_measured(
    serve: Callable[..., str], route: str, error: type[AdvisorError], says: str
) -> None:
    base = serve("uvicorn", "asgi_app:app")
    with pytest.raises(error, match=says) as caught:
        measure(base + route)
    assert caught.value.exit_code == (2 if error is GuardRefused else 4)
    assert caught.value.remedy


@pytest.mark.parametrize("route", ["/never", "/endless"])
def test_an_answer_that_does_not_end(
    serve: Callable[..., str], route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.probe.questions.ask.TIMEOUT_S", 1.0)
    base = serve("uvicorn", "asgi_app:app")
    with pytest.raises(TooLittleEvidence, match="no answer within 1 s"):
        measure(base + route)


@pytest.fixture
def banner() -> Iterator[str]:
    """A server that speaks something else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        clients: list[socket.socket] = []

        def talk() -> None:
            while True:
                try:
                    clients.append(listener.accept()[0])
                except OSError:
                    return
                clients[-1].sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=talk, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)
        for client in clients:
            client.close()


def test_no_http(banner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("advisor.probe.questions.ask.TIMEOUT_S", 1.0)
    with pytest.raises(InvalidInput, match="does not speak HTTP") as caught:
        measure(banner)
    assert caught.value.exit_code == 2


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TooLittleEvidence, match="refuses connections"):
        measure(f"http://127.0.0.1:{port}/")
