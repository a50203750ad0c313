"""Findings about servers that really run, from facts that were really gathered."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from advisor.demo.processes import free_port, program, running
from advisor.host import gather
from advisor.rules.findings import Case, find
from tests.rules.situations import calm, through

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
ENDS_S = 20

pytestmark = pytest.mark.daemon


@contextmanager
def served(folder: Path, command: list[str]) -> Iterator[int]:
    """The PID of a server in a folder with the app; `{port}` in the command is a free one."""
    (folder / "small.py").write_text(APP)
    port = free_port()
    words = [program(command[0]), *(word.format(port=port) for word in command[1:])]
    start = f'cd "$0" && exec env PYTHONPATH="$0" {" ".join(words)}'
    shell = ["/bin/sh", "-c", start, str(folder)]
    with running(shell, url=f"http://127.0.0.1:{port}/", log=folder / "server.log") as pid:
        yield pid


def case_of(pid: int) -> Case:
    """The calm case, but with this host's facts and the server that runs; seen through Caddy."""
    facts = gather(pid)
    server = next(server for server in facts.servers if server.pid == pid)
    return through(replace(calm(), facts=facts, server=server), "caddy")


def ids(case: Case) -> set[str]:
    return {finding.id for finding in find(case)}


GUNICORN = ["gunicorn", "-b", "127.0.0.1:{port}", "-k", "gthread", "--threads", "2", "small:wsgi"]


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """What is started here dies of SIGHUP, or minds it itself, even where nohup ran the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("", {"live-keepalive-order"}),
        ("keepalive = 130\n", set()),
        # Computed, and never run here: not known, so nothing is said.
        ("keepalive = 2 * 65\n", set()),
        ("keepalive = 2 * 65\npreload_app = True\n", {"hup-unsafe"}),
    ],
)
def test_gunicorns_settings_as_its_file_has_them(
    config: str, expected: set[str], tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(config)
    about = {"live-keepalive-order", "hup-unsafe", "live-timeouts", "development-server"}
    with served(tmp_path, GUNICORN) as pid:
        assert ids(case_of(pid)) & about == expected


@pytest.mark.parametrize(
    "command",
    [
        ["uvicorn", "--port", "{port}", "--limit-concurrency", "5", "small:app"],
        ["hypercorn", "-b", "127.0.0.1:{port}", "-w", "0", "small:app"],
    ],
    ids=lambda words: words[0],
)
def test_a_server_of_one_process_dies_of_hup_as_the_finding_says(
    command: list[str], tmp_path: Path
) -> None:
    with served(tmp_path, command) as pid:
        found = ids(case_of(pid))
        assert "hup-unsafe" in found
        assert ("uvicorn-limit" in found) is (command[0] == "uvicorn")
        os.kill(pid, signal.SIGHUP)
        assert ended(pid)


def test_uvicorn_with_two_workers_survives_hup_and_is_not_found(tmp_path: Path) -> None:
    command = ["uvicorn", "--port", "{port}", "--workers", "2", "small:app"]
    with served(tmp_path, command) as pid:
        before = case_of(pid)
        assert "hup-unsafe" not in ids(before)
        assert before.server
        old = {worker.pid for worker in before.server.workers}
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + ENDS_S
        while old & {worker.pid for worker in case_of(pid).server.workers}:
            assert time.monotonic() < deadline, "the workers were not replaced"
            time.sleep(0.1)


def ended(pid: int) -> bool:
    """Whether the child ends soon; it is left for its parent to reap."""
    deadline = time.monotonic() + ENDS_S
    while time.monotonic() < deadline:
        seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if seen is not None:
            return True
        time.sleep(0.05)
    return False
