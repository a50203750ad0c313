"""Apps behind a real nginx: whose processes count, whose requests its log tells of."""

from __future__ import annotations

import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

from advisor.demo.processes import free_port, program, running
from advisor.host.servers import server_at
from advisor.probe import Allowed, Choice, observe_app, probe
from advisor.render.stage import main_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.daemon


@pytest.fixture
def proxied(serve: Callable[..., str], tmp_path: Path) -> Iterator[tuple[str, int, Path]]:
    """A real nginx in front of an app: its URL, the PID of the app's server, its access log."""
    app = serve("uvicorn", "asgi_app:app")
    server, _ = server_at("127.0.0.1", int(app.rpartition(":")[2]))
    assert server is not None
    port = free_port()
    stage = tmp_path / "nginx"
    stage.mkdir()
    log = stage / "access.log"
    (stage / "site.conf").write_text(
        f"server {{ listen 127.0.0.1:{port}; access_log {log} combined; "
        f"location / {{ proxy_pass {app}; }} }}\n"
    )
    (stage / "nginx.conf").write_text(main_conf(stage, stage / "site.conf"))
    command = [program("nginx"), "-e", "stderr", "-c", str(stage / "nginx.conf")]
    url = f"http://127.0.0.1:{port}"
    with running(
        [*command, "-p", str(stage), "-g", "daemon off;"],
        url=f"{url}/healthz",
        log=tmp_path / "nginx.log",
    ):
        yield url, server.pid, log


def test_a_log_with_others_requests_means_bursts_and_one_with_ours_the_whole_protocol(
    proxied: tuple[str, int, Path],
) -> None:
    """The fixture asked the app through nginx until it was up, as somebody else would."""
    url, pid, log = proxied
    beside = probe(f"{url}/compute", on_progress=lambda _line: None)
    assert beside.throughput.knee_rps is None
    assert "access.log in the last 10 minutes" in beside.limiter.why
    assert beside.target.pid == pid
    assert "advisor/" in log.read_text()
    lines = [line for line in log.read_text().splitlines(keepends=True) if "advisor/" in line]
    log.write_text("".join(lines))
    alone = probe(f"{url}/compute", on_progress=lambda _line: None)
    assert alone.throughput.knee_rps is not None
    assert alone.target.through == ["nginx"]
    assert alone.target.pid == pid
    assert str(alone.target.upstream).startswith("127.0.0.1:")
    assert alone.cpu_per_request_s is not None


def test_real_traffic_is_observed_by_url(proxied: tuple[str, int, Path]) -> None:
    url, pid, log = proxied
    stop = threading.Event()

    def visit() -> None:
        while not stop.wait(0.02):
            with urllib.request.urlopen(f"{url}/compute", timeout=5) as answer:  # noqa: S310 - our own nginx
                answer.read()

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    try:
        seen = observe_app(
            f"{url}/compute",
            seconds=6,
            pid=None,
            unix_socket=None,
            choice=Choice(),
            stub_status=None,
            allowed=Allowed(),
            on_progress=lambda _line: None,
        )
    finally:
        stop.set()
        visitor.join()
    assert seen.mode == "observe"
    assert seen.target.pid == pid
    assert seen.target.through == ["nginx"]
    assert seen.observed is not None
    assert seen.observed.source == str(log)
    assert seen.observed.requests > 50
    assert seen.cost.requests == 0
    assert seen.cpu_per_request_s is not None
    assert "advisor/" not in log.read_text()


def test_the_logs_mix_gives_the_routes(proxied: tuple[str, int, Path]) -> None:
    url, _, log = proxied
    line = '127.0.0.1 - - [{}] "GET {} HTTP/1.1" 200 20 "-" "curl/8"\n'
    when = log.read_text().split("[")[1].split("]")[0]
    log.write_text(line.format(when, "/compute") * 30 + line.format(when, "/wait") * 10)
    seen = probe(f"{url}/compute", choice=Choice(source="log"), on_progress=lambda _line: None)
    assert {facts.path for facts in seen.http} >= {"/compute", "/wait"}
    assert seen.throughput.knee_rps is None  # they were there within the last ten minutes
