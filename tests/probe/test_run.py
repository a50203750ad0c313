"""Real servers, probed as a user would."""

from __future__ import annotations

import gc
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from advisor.demo.processes import program
from advisor.errors import AdvisorError, GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe import Allowed, Choice, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from advisor.documents import Measurement

pytestmark = pytest.mark.daemon
APPS = Path(__file__).parent.parent / "apps"


def measure(url: str) -> Measurement:
    """A probe; again where the hypervisor took the machine away meanwhile."""
    for _ in range(3):
        seen = probe(url, on_progress=lambda _line: None)
        if "(steal)" not in seen.limiter.why:
            break
    return seen


@contextmanager
def running_at(path: Path, command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a server that listens at a unix socket, from its first accepted connection on."""
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket(socket.AF_UNIX) as client:
                if client.connect_ex(str(path)) == 0:
                    break
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)


@pytest.mark.parametrize(
    ("command", "route", "verdicts", "is_blocked"),
    [
        # One process fills its core while the other idles, or the cores left are all used.
        ("uvicorn asgi_app:app", "/compute", {"concurrency", "cpu"}, False),
        ("uvicorn asgi_app:app --workers 2", "/blocked", {"event-loop-blocked"}, True),
        ("uvicorn asgi_app:app", "/threads", {"concurrency"}, False),
        ("gunicorn wsgi_app:app --workers 3", "/wait", {"concurrency"}, None),
    ],
)
def test_the_limiter_of_real_apps(
    serve: Callable[..., str],
    command: str,
    route: str,
    verdicts: set[str],
    is_blocked: bool | None,
) -> None:
    base = serve(*command.split(), ready=route)
    seen = measure(base + route)
    wait_s = float(httpx.get(f"{base}/napped", trust_env=False).text)
    assert seen.limiter.verdict in verdicts, seen.limiter
    assert seen.cpu_per_request_s is not None
    assert 0 < seen.cpu_per_request_s.low <= seen.cpu_per_request_s.high
    assert seen.throughput.knee_rps is not None
    assert seen.cost.duration_s <= 30
    assert sum(worker.share_ratio or 0 for worker in seen.workers) == pytest.approx(1, abs=0.15)
    assert seen.wait_per_request_s is not None
    # One stall of the machine among 72 lone requests moves the mean by 2 ms and more, and widens
    # the interval: that is held to the limit here, and the value by benchmarks/measurement.
    near = max(0.002, 0.1 * wait_s)
    assert seen.wait_per_request_s.low - near < wait_s < seen.wait_per_request_s.high + near
    if is_blocked is None:
        assert seen.blocked_per_request_s is None
    else:
        assert seen.blocked_per_request_s is not None
        blocked_s = wait_s if is_blocked else 0
        assert abs(seen.blocked_per_request_s.value - blocked_s) < 0.004
    assert seen.limiter.evidence.get("canary") == ("serialised" if is_blocked else None)
    open_loop = seen.throughput.open_loop
    if open_loop is None:  # a machine whose cores the app took keeps no schedule, and says so
        assert any("of the requests late" in gap.why for gap in seen.unknown), seen.unknown
    else:
        assert open_loop.errors == 0
        assert open_loop.mean_s is not None
        assert open_loop.mean_s.value >= 0.9 * (wait_s + seen.cpu_per_request_s.low)
    assert seen.threads is not None
    in_pool = seen.threads.others_s.value > 0.05 * seen.threads.main_s.value
    assert in_pool == (route == "/threads")
    assert seen.worker_memory is not None
    assert seen.worker_memory.marginal_bytes is not None
    assert seen.memory_growth_bytes_per_request is None
    assert seen.network is not None
    assert seen.network.bytes_per_request.value > 100


def test_a_leak_and_what_booting_cost_are_told(serve: Callable[..., str]) -> None:
    """The app keeps 2,000 bytes of every request; its worker has served nothing before."""
    seen = measure(serve("uvicorn", "asgi_app:app") + "/leak")
    growth = seen.memory_growth_bytes_per_request
    assert growth is not None
    assert growth.low <= 2100
    assert 1700 < growth.value < 2400
    assert not any(gap.what == "memory growth" for gap in seen.unknown)
    (worker,) = seen.workers
    assert worker.boot_cpu_s is not None
    assert seen.cost.server_cpu_s is not None
    assert 0.05 < worker.boot_cpu_s < seen.cost.server_cpu_s


def test_the_line_that_blocks_is_named_where_asked(serve: Callable[..., str]) -> None:
    url = serve("uvicorn", "asgi_app:app") + "/blocked"
    for _ in range(3):
        seen = probe(url, allowed=Allowed(stacks=True), on_progress=lambda _line: None)
        if "(steal)" not in seen.limiter.why:
            break
    source = (APPS / "asgi_app.py").read_text(encoding="utf-8").splitlines()
    line = next(number for number, text in enumerate(source, 1) if "time.sleep(0.02)" in text)
    assert seen.limiter.verdict == "event-loop-blocked"
    assert f"asgi_app.py:{line} in blocked" in str(seen.limiter.evidence.get("where"))
    assert seen.cost.duration_s <= 30


def test_routes_of_a_mix_have_results_of_their_own(serve: Callable[..., str]) -> None:
    url = serve("uvicorn", "asgi_app:app")
    choice = Choice(endpoints=("/compute=3", "/wait=1"))
    collects = set()
    seen = probe(url, choice=choice, on_progress=lambda _line: collects.add(gc.isenabled()))
    assert collects == {False}, "a collection makes answers look late"
    assert gc.isenabled()
    compute, wait = seen.routes
    assert (compute.path, wait.path) == ("/compute", "/wait")
    assert (compute.weight, wait.weight) == (0.75, 0.25)
    assert compute.requests + wait.requests > 100
    assert compute.requests > 2 * wait.requests
    assert compute.p50_s is not None
    assert wait.p50_s is not None
    assert wait.p50_s > 2 * compute.p50_s
    assert wait.wait_per_request_s is not None
    assert abs(wait.wait_per_request_s.value - 0.02) < 0.002
    assert {facts.path for facts in seen.http} >= {"/compute", "/wait"}
    assert seen.cost.duration_s <= 30


def test_a_unix_socket_is_measured_in_full_where_that_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--uds", str(path)]
    with running_at(path, command, tmp_path / "uds.log"):
        seen = probe(
            "http://shop.example/compute",
            unix_socket=path,
            allowed=Allowed(saturate=True),
            on_progress=lambda _line: None,
        )
    assert seen.throughput.knee_rps is not None
    assert seen.cpu_per_request_s is not None
    assert seen.target.server == "uvicorn"
    assert seen.target.workers == 1


def test_another_host_is_a_black_box_that_says_so(
    own_address: str, serve: Callable[..., str]
) -> None:
    base = serve("uvicorn", "asgi_app:app", "--host", "0.0.0.0")
    url = f"http://{own_address}:{base.rpartition(':')[2]}/compute"
    with pytest.raises(GuardRefused):
        measure(url)
    allowed = Allowed(remote=True, public=True, saturate=True)
    seen = probe(url, allowed=allowed, on_progress=lambda _line: None)
    assert seen.target.pid is None
    assert seen.cpu_per_request_s is None
    assert seen.limiter.verdict in {"unknown", "client"}
    assert seen.throughput.knee_rps is not None
    assert any("another host" in gap.why for gap in seen.unknown)
    assert any("the limiter" in gap.what for gap in seen.unknown)


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


@pytest.mark.parametrize(
    ("route", "says"), [("/never", "no answer within 1 s"), ("/endless", "a stream")]
)
def test_an_answer_that_does_not_end(
    serve: Callable[..., str], route: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.probe.questions.fetch.TIMEOUT_S", 1.0)
    base = serve("uvicorn", "asgi_app:app")
    with pytest.raises(TooLittleEvidence, match=says):
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
    monkeypatch.setattr("advisor.probe.questions.fetch.TIMEOUT_S", 1.0)
    with pytest.raises(InvalidInput, match="does not speak HTTP") as caught:
        measure(banner)
    assert caught.value.exit_code == 2


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TooLittleEvidence, match="refuses connections"):
        measure(f"http://127.0.0.1:{port}/")
