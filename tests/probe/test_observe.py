"""Real servers behind a real nginx or Caddy, watched while real requests come by."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from advisor.demo.processes import free_port, program, running
from advisor.documents import Estimate, Measurement, Target
from advisor.errors import Interrupted, InvalidInput, TooLittleEvidence
from advisor.host import servers
from advisor.host.proxies.site import AccessLog, Site
from advisor.probe.observe import observe
from advisor.probe.passive.follow import recent
from advisor.probe.passive.formats import BEST_FORMAT, parser
from advisor.probe.passive.mix import mix
from advisor.probe.sample import clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.daemon

AGENT = "somebody-else"
TIMED = BEST_FORMAT.partition("'")[2].rpartition("'")[0]
JSON = (
    'escape=json {"at":"$msec","request":"$request","status":$status,"bytes":$body_bytes_sent,'
    '"rt":"$request_time","urt":"$upstream_response_time","agent":"$http_user_agent"}'
)
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format timed '{timed}';
    log_format js escape=json '{js}';
    upstream app {{ server {app}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        access_log {folder}/timed.log timed;
        access_log {folder}/combined.log;
        access_log {folder}/json.log js;
        location = /status {{ stub_status; access_log off; }}
        location = /ready {{ return 200; access_log off; }}
        location = /logo {{ return 204; }}
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    log {{
        output file {folder}/caddy.log
    }}
    reverse_proxy {app}
}}
"""


@dataclass
class Proxy:
    """A proxy in front of an app; its logs stand in `folder`."""

    port: int
    app: str
    folder: Path
    pid: int

    @property
    def server(self) -> int:
        host, _, port = self.app.rpartition(":")
        server, _ = servers.server_at(host, int(port))
        assert server is not None
        return server.pid

    def target(self, pid: int | None) -> Target:
        return Target(
            url=f"http://127.0.0.1:{self.port}/",
            pid=pid,
            server=None,
            worker_class=None,
            workers=None,
            threads=None,
            through=["nginx"],
            upstream=self.app,
        )

    def observe(self, seconds: float = 6, **what: object) -> Measurement:
        self.said: list[str] = []
        arguments = {"on_progress": self.said.append, "pid": self.server} | what
        return observe(self.target(None), seconds=seconds, **arguments)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may look into."""
    path = Path(tempfile.mkdtemp(prefix="observe-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def behind(serve: Callable[..., str], folder: Path) -> Iterator[Callable[..., Proxy]]:
    """Start an app with `nginx` or `caddy` in front of it."""
    with contextlib.ExitStack() as stack:

        def start(proxy: str, *words: str, ready: str = "/compute") -> Proxy:
            app = serve(*words, ready=ready).removeprefix("http://")
            port = free_port()
            names = {"folder": folder, "app": app, "port": port, "timed": TIMED}
            config = folder / "config"
            if proxy == "nginx":
                js = JSON.removeprefix("escape=json ")
                config.write_text(NGINX.format(js=js, **names))
                command = [program("nginx"), "-p", str(folder), "-c", str(config)]
                url = f"http://127.0.0.1:{port}/ready"
            else:
                config.write_text(CADDY.format(**names))
                homes = [f"{name}={folder}" for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")]
                command = [program("env"), *homes, program("caddy"), "run", "--adapter"]
                command += ["caddyfile", "--config", str(config)]
                url = f"http://127.0.0.1:{port}{ready}"
            pid = stack.enter_context(running(command, url=url, log=folder / "proxy.out"))
            return Proxy(port, app, folder, pid)

        yield start


@dataclass
class Traffic:
    """Somebody's requests to the paths in turn, about `rate` a second, inside a `with`."""

    port: int
    paths: tuple[str, ...]
    rate: float = 60.0
    clients: int = 1
    answered: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 20
        while self.answered < 60 and time.monotonic() < deadline:
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        number = 0
        while not self._stop.wait(self.clients / self.rate):
            path = self.paths[number % len(self.paths)]
            method = "POST" if path.startswith("POST ") else "GET"
            connection.request(method, path.removeprefix("POST "), headers={"User-Agent": AGENT})
            connection.getresponse().read()
            number += 1
            self.answered += 1
        connection.close()


def reference(pid: int, traffic: Traffic) -> tuple[float, int]:
    """CPU of the server's processes so far, and the requests answered."""
    server = servers.server_of(pid)
    pids = {server.pid, *(worker.pid for worker in server.workers)}
    return clocks.read(pids).server_s, traffic.answered


def gaps(measured: Measurement) -> set[str]:
    return {gap.what for gap in measured.unknown}


def around(estimate: Estimate | None, value: float, tolerance: float) -> bool:
    assert estimate is not None
    assert 0 < estimate.low <= estimate.value <= estimate.high
    return abs(estimate.value - value) <= tolerance * value


def agents(path: Path) -> set[str]:
    return {line.split('"')[5] for line in path.read_text().splitlines()}


def test_nginx_with_times_tells_demand_waiting_and_routes(behind: Callable[..., Proxy]) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    pid = proxy.server
    paths = ("/mixed", "/mixed", "/mixed", "/missing/7", "/logo")
    with Traffic(proxy.port, paths, rate=90) as traffic:
        before = reference(pid, traffic)
        log = AccessLog(proxy.folder / "timed.log", TIMED)
        site = Site("nginx", (proxy.app,), access_logs=(log,))
        measured = proxy.observe(8, site=site)
        after = reference(pid, traffic)
        entries = recent(log.path, parser(log.format), 600)
    # One path in five never reaches the app.
    used = (after[0] - before[0]) / ((after[1] - before[1]) * 4 / 5)
    assert around(measured.cpu_per_request_s, used, 0.2), (measured.cpu_per_request_s, used)
    # Three of four requests await 5 ms.
    assert measured.wait_per_request_s is not None
    assert 0.003 < measured.wait_per_request_s.value < 0.006
    assert measured.blocked_per_request_s is not None
    assert measured.blocked_per_request_s.value < 0.001
    assert measured.limiter.verdict == "unknown"
    assert re.search(r"not at its limit|\(steal\)", measured.limiter.why)
    assert [(r.path, r.weight) for r in measured.routes] == [
        ("/mixed", pytest.approx(0.75, abs=0.03)),
        ("/missing/{}", pytest.approx(0.25, abs=0.03)),
    ]
    seen = measured.observed
    assert seen is not None
    assert seen.upstream_time
    assert (seen.kind, seen.format) == ("access-log", TIMED)
    assert seen.errors == 0
    assert "which requests the app was asked" not in gaps(measured)
    assert measured.target.server == "uvicorn"
    assert measured.worker_memory is not None
    assert measured.target.through == ["nginx"]
    assert measured.cost.requests == 0
    assert proxy.said
    assert "CPU a request" in proxy.said[0]
    # What was answered well is the mix for a probe; and nobody but our client sent anything.
    assert [(r.path, r.weight) for r in mix(entries).routes] == [("/mixed", 1.0)]
    assert agents(log.path) == {AGENT}


@pytest.mark.parametrize("source", ["combined", "json", "stub_status"])
def test_nginx_by_other_sources(behind: Callable[..., Proxy], source: str) -> None:
    proxy = behind("nginx", "gunicorn", "wsgi_app:app", "--workers", "2")
    what: dict[str, object] = {
        "combined": {"access_log": proxy.folder / "combined.log"},
        "json": {"access_log": proxy.folder / "json.log", "log_format": JSON},
        "stub_status": {"stub_status": f"http://127.0.0.1:{proxy.port}/status"},
    }[source]
    pid = proxy.server
    with Traffic(proxy.port, ("/compute", "POST /nowhere"), rate=60) as traffic:
        before = reference(pid, traffic)
        measured = proxy.observe(**what)
        after = reference(pid, traffic)
    used = (after[0] - before[0]) / (after[1] - before[1])
    assert around(measured.cpu_per_request_s, used, 0.2), (measured.cpu_per_request_s, used)
    rate = (after[1] - before[1]) / 8  # the observation is aligned with whole seconds
    assert measured.observed is not None
    assert rate * 0.7 < measured.observed.rate_rps < rate * 1.7
    assert measured.threads is not None
    assert measured.balance is not None
    assert measured.blocked_per_request_s is None
    assert agents(proxy.folder / "combined.log") == {AGENT}
    if source == "stub_status":
        assert measured.observed.source == what["stub_status"]
        assert measured.routes == []
        assert "routes, latencies and errors" in gaps(measured)
        return
    assert [r.path for r in measured.routes] == ["/compute"]
    assert "routes of other methods than GET and HEAD" in gaps(measured)
    assert (measured.wait_per_request_s is None) == (source == "combined")
    assert (measured.latency_s["p50"] is None) == (source == "combined")


def test_caddy(behind: Callable[..., Proxy]) -> None:
    proxy = behind("caddy", "uvicorn", "asgi_app:app")
    log = AccessLog(proxy.folder / "caddy.log", "json")
    pid = proxy.server
    with Traffic(proxy.port, ("/wait", "/compute")) as traffic:
        before = reference(pid, traffic)
        measured = proxy.observe(site=Site("caddy", (proxy.app,), access_logs=(log,)))
        after = reference(pid, traffic)
    used = (after[0] - before[0]) / (after[1] - before[1])
    assert around(measured.cpu_per_request_s, used, 0.2), (measured.cpu_per_request_s, used)
    assert {r.path for r in measured.routes} == {"/wait", "/compute"}
    slow = next(r for r in measured.routes if r.path == "/wait")
    assert slow.p50_s is not None
    assert 0.02 <= slow.p50_s < 0.04
    assert measured.wait_per_request_s is None
    (gap,) = (gap for gap in measured.unknown if gap.what == "wait_per_request_s")
    assert "at most" in gap.why


def test_a_blocked_loop_at_its_limit(behind: Callable[..., Proxy]) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    with Traffic(proxy.port, ("/blocked",), rate=400, clients=4):
        for _ in range(3):
            measured = proxy.observe(access_log=proxy.folder / "timed.log")
            if "(steal)" not in measured.limiter.why:  # the hypervisor's doing: watch again
                break
    assert measured.limiter.verdict == "event-loop-blocked", measured.limiter
    assert around(measured.blocked_per_request_s, 0.02, 0.15)
    assert measured.wait_per_request_s is None
    assert "wait_per_request_s" in gaps(measured)


def test_a_log_that_is_rotated_under_way_loses_nothing(behind: Callable[..., Proxy]) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    log = proxy.folder / "timed.log"

    def rotate(_line: str) -> None:
        if not log.with_name("timed.log.1").exists():
            log.rename(log.with_name("timed.log.1"))
            os.kill(proxy.pid, signal.SIGUSR1)

    with Traffic(proxy.port, ("/compute",)):
        measured = proxy.observe(9, access_log=log, on_progress=rotate)
    assert measured.observed is not None
    old, new = (p.read_text().count("\n") for p in (log.with_name("timed.log.1"), log))
    assert min(old, new) > 0
    # Of both files: more than either holds, and what came in nine whole seconds of them.
    assert max(old, new) < measured.observed.requests <= old + new
    assert measured.observed.rate_rps * 9 == pytest.approx(measured.observed.requests, rel=0.02)


def test_a_worker_that_ends_under_way_leaves_no_verdict(behind: Callable[..., Proxy]) -> None:
    proxy = behind("nginx", "gunicorn", "wsgi_app:app", "--workers", "2")
    worker = servers.server_of(proxy.server).workers[0].pid

    def kill(_line: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGTERM)

    with Traffic(proxy.port, ("/compute",)):
        measured = proxy.observe(9, access_log=proxy.folder / "timed.log", on_progress=kill)
    assert measured.limiter.verdict == "unknown"
    assert "under way" in measured.limiter.why
    assert measured.cpu_per_request_s is not None
    assert worker not in [each.pid for each in measured.workers]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(behind: Callable[..., Proxy], signum: int) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    threads = threading.active_count()
    with Traffic(proxy.port, ("/compute",)), pytest.raises(Interrupted) as raised:
        proxy.observe(
            3600,
            access_log=proxy.folder / "timed.log",
            on_progress=lambda _line: os.kill(os.getpid(), signum),
        )
    assert raised.value.exit_code == 128 + signum
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert threading.active_count() == threads


def test_without_traffic_there_is_nothing_to_say(behind: Callable[..., Proxy]) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    with pytest.raises(TooLittleEvidence, match="no request of the app"):
        proxy.observe(5, access_log=proxy.folder / "timed.log")


def test_as_an_ordinary_user(behind: Callable[..., Proxy], as_nobody: Callable[[str], str]) -> None:
    proxy = behind("nginx", "uvicorn", "asgi_app:app")
    log = proxy.folder / "timed.log"
    log.chmod(0o644)
    code = f"""
from pathlib import Path
from advisor.documents import Target
from advisor.probe.observe import observe
target = Target(url="http://127.0.0.1/", pid={proxy.server}, server=None, worker_class=None,
                workers=None, threads=None, through=[])
seen = observe(target, seconds=6, access_log=Path({str(log)!r}), on_progress=lambda line: None)
print(seen.cpu_per_request_s.value > 0, seen.wait_per_request_s.value > 0.01)
print([gap.what for gap in seen.unknown])
"""
    with Traffic(proxy.port, ("/wait",)):
        said = as_nobody(code)
    assert said.startswith("True True")
    assert "blocked_per_request_s" in said


@pytest.mark.parametrize("seconds", [0, 4.9, float("nan"), float("inf"), 1e9])
def test_a_time_that_makes_no_sense_is_refused(tmp_path: Path, seconds: float) -> None:
    proxy = Proxy(1, "127.0.0.1:1", tmp_path, 1)
    with pytest.raises(InvalidInput, match="--observe"):
        observe(proxy.target(None), seconds=seconds, on_progress=print)


def test_without_a_log_it_says_what_to_give(tmp_path: Path) -> None:
    proxy = Proxy(1, "127.0.0.1:1", tmp_path, 1)
    missing = AccessLog(tmp_path / "none.log", "combined")
    for site in (None, Site("nginx", ()), Site("nginx", (), access_logs=(missing,))):
        with pytest.raises(InvalidInput, match="nothing tells the requests") as raised:
            observe(proxy.target(None), seconds=5, site=site, on_progress=print)
        assert raised.value.remedy
