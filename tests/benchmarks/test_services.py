"""What the regret benchmark's apps stand on does what the cases say."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.demo.processes import program, running
from advisor.errors import AdvisorError
from advisor.host import limits
from benchmarks.regret import services
from benchmarks.regret.apps import MIB, OWN
from benchmarks.regret.launch import holdings, settle, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.daemon


def greeted(port: int) -> tuple[socket.socket, bytes]:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    return connection, connection.recv(1)


def test_a_database_refuses_those_beyond_its_limit() -> None:
    with services.service(OWN / "database.py", "2") as port:
        kept = []
        deadline = time.monotonic() + 5
        while len(kept) < 2 and time.monotonic() < deadline:  # the readiness check may linger
            connection, word = greeted(port)
            (kept.append if word == b"+" else socket.socket.close)(connection)
        refused, word = greeted(port)
        assert word == b"-"
        refused.close()
        kept[0].sendall(b"?")
        assert kept[0].recv(1) == b"!"
        kept.pop().close()
        while word != b"+" and time.monotonic() < deadline:
            connection, word = greeted(port)
            connection.close()
        assert word == b"+"
        kept.pop().close()


def test_an_app_without_a_connection_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with services.service(OWN / "database.py", "1") as database:
        monkeypatch.setenv("DATABASE_PORT", str(database))
        port = services.free_port()
        command = [program("gunicorn"), "limited:app", "--chdir", str(OWN), "--no-control-socket"]
        url = f"http://127.0.0.1:{port}/rows"
        with running(
            [*command, "--bind", f"127.0.0.1:{port}", "-w", "2"], url=url, log=tmp_path / "log"
        ) as pid:
            settle(pid, 2)
            assert len(holdings(tree(pid))) == 3
            statuses = set()
            deadline = time.monotonic() + 20
            while statuses != {200, 500} and time.monotonic() < deadline:
                statuses |= set(asked_together(port, 4))
    assert statuses == {200, 500}


def asked_together(port: int, count: int) -> list[int]:
    """The statuses of requests that are all under way at once, so that both workers get some."""
    opened = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    for connection in opened:
        connection.sendall(b"GET /rows HTTP/1.0\r\nHost: a\r\n\r\n")
    statuses = [int(connection.recv(64).split()[1]) for connection in opened]
    for connection in opened:
        connection.close()
    return statuses


def test_a_service_that_does_not_listen_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("")
    with (
        pytest.raises(AdvisorError, match=r"gone\.py does not listen"),
        services.service(tmp_path / "gone.py"),
    ):
        pass


def test_a_quota_holds_the_process_that_joins_it(not_run: Callable[[str], NoReturn]) -> None:
    if os.geteuid() != 0:
        not_run("only root can make a cgroup")
    try:
        with services.group_of("cpu", 0.5) as group:
            process = subprocess.Popen(
                group.around([sys.executable, "-c", "input()"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
            try:
                deadline = time.monotonic() + 10
                while limits.cpu(process.pid)[0].effective != 0.5 and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert limits.cpu(process.pid)[0].effective == 0.5
            finally:
                process.communicate(b"\n", timeout=10)
    except AdvisorError as error:
        not_run(str(error))
    assert not group.folder.exists()


def test_a_memory_limit_kills_and_counts(not_run: Callable[[str], NoReturn]) -> None:
    if os.geteuid() != 0:
        not_run("only root can make a cgroup")
    try:
        with services.group_of("memory", 32 * MIB) as group:
            kept = subprocess.run(group.around([sys.executable, "-c", ""]), check=False)
            assert (kept.returncode, group.killed()) == (0, 0)
            greedy = group.around([sys.executable, "-c", "x = b'x' * 2**27"])
            assert subprocess.run(greedy, check=False).returncode == -signal.SIGKILL
            assert group.killed() == 1
            assert group.peak_bytes() in {0, *range(16 * MIB, 32 * MIB + 1)}
    except AdvisorError as error:
        not_run(str(error))
