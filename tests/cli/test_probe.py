from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from advisor.demo.processes import free_port, program, running

if TYPE_CHECKING:
    from collections.abc import Callable

APPS = Path(__file__).parent.parent / "apps"
ADVISOR = [sys.executable, "-m", "advisor"]


def advisor(*words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ADVISOR, *words], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["http://127.0.0.1:1/"], 4, "refuses connections"),
        (["http://169.254.169.254/latest/meta-data/"], 2, "metadata"),
        (["ftp://127.0.0.1/"], 2, "only http:// and https://"),
        (["http://127.0.0.1:1/", "--pid", "0"], 2, "--pid"),
        (["http://127.0.0.1:1/", "--pid", "4194304"], 2, "4194304"),
        (["http://127.0.0.1:1/", "-o", "/absent/m.json"], 2, "/absent"),
        (["http://127.0.0.1:1/", "-o", "/tmp/m.txt"], 2, ".json or .yml"),
        ([], 2, "a URL is needed"),
        (["http://127.0.0.1:1/", "--endpoint", "items"], 2, "--endpoint 'items'"),
        (["http://127.0.0.1:1/", "--endpoint", "/a", "--routes", "openapi"], 2, "not both"),
        (["http://127.0.0.1:1/", "--routes", "sitemap"], 2, "--routes"),
        (["http://127.0.0.1:1/", "--routes", "log"], 4, "no access log is known"),
        (["http://127.0.0.1:1/", "--routes", "log", "--access-log", "/absent"], 2, "/absent"),
        (["http://127.0.0.1:1/", "--unix-socket", "/absent.sock"], 2, "/absent.sock"),
        (["http://127.0.0.1:1/", "--stub-status", "http://127.0.0.1:1/s"], 2, "--observe"),
        (["--observe", "10"], 2, "a URL or --pid is needed"),
        (["--observe", "1", "--pid", "1"], 2, "--observe 1"),
        (["--observe", "nan", "--pid", "1"], 2, "--observe"),
        (["http://127.0.0.1:1/", "--observe", "10", "--endpoint", "/a"], 2, "sends nothing"),
        (["http://169.254.169.254/", "--observe", "10"], 2, "metadata"),
    ],
)
def test_bad_input(words: list[str], code: int, says: str) -> None:
    done = advisor("probe", *words)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_another_file_is_not_overwritten(tmp_path: Path) -> None:
    for content in ("keep me", '{"schema": "advisor/facts/1"}'):
        path = tmp_path / "m.json"
        path.write_text(content)
        done = advisor("probe", "http://127.0.0.1:1/", "-o", str(path))
        assert done.returncode == 2
        assert "left as it is" in done.stderr
        assert path.read_text() == content


@pytest.mark.daemon
def test_json_is_a_measurement_and_progress_is_elsewhere(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/compute"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--port", str(port)]
    with running(command, url=url, log=tmp_path / "log"):
        done = advisor("probe", url, "--json", "-o", str(tmp_path / "m.yml"))
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "advisor/measurement/1"
    assert document["cost"]["requests"] > 0
    assert "at most" in done.stderr  # what will be sent, and for how long
    assert (tmp_path / "m.yml").read_text().startswith("schema: advisor/measurement/1\n")


@pytest.mark.daemon
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_load_at_once(tmp_path: Path, signum: signal.Signals) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/compute"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--port", str(port)]
    with running(command, url=url, log=tmp_path / "log") as server:
        process = subprocess.Popen(
            [*ADVISOR, "probe", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "1 connections" in line:
                break
        process.send_signal(signum)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 128 + signum
        assert "interrupted" in errors
        assert "Traceback" not in errors
        assert not psutil.pid_exists(process.pid)
        _until_idle(server)


def _until_idle(pid: int) -> None:
    """The server is left without a connection of ours."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        held = psutil.Process(pid).net_connections()
        if not any(connection.status == psutil.CONN_ESTABLISHED for connection in held):
            return
        time.sleep(0.05)
    raise AssertionError("the server still holds connections")


@pytest.mark.daemon
def test_as_an_ordinary_user_beside_roots_server(
    tmp_path: Path, as_nobody: Callable[[str], str]
) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/pool"
    command = [program("uvicorn"), "asgi_app:app", "--app-dir", str(APPS), "--port", str(port)]
    with running(command, url=url, log=tmp_path / "log"):
        printed = as_nobody(f"from advisor.cli.main import run; run(['probe', {url!r}, '--json'])")
    document = json.loads(printed)
    assert document["cpu_per_request_s"]["value"] > 0  # CPU clocks are everybody's to read
    assert document["blocked_per_request_s"] is None
    unknown = {entry["what"]: entry for entry in document["unknown"]}
    assert "blocked_per_request_s" in unknown
    assert "root" in unknown["blocked_per_request_s"]["remedy"]
    assert document["limiter"]["verdict"] == "unknown"
