"""Real servers to measure, and observations made by hand to judge."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import psutil
import pytest

from advisor.demo.processes import free_port, program, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPS = Path(__file__).parent.parent / "apps"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start `uvicorn` or `gunicorn` with an app of tests/apps; gives its URL without a path."""
    with contextlib.ExitStack() as stack:

        def start(*words: str, ready: str = "/healthz") -> str:
            port = free_port()
            name, *rest = words
            where = {
                "uvicorn": ["--port", str(port), "--app-dir", str(APPS)],
                "gunicorn": ["--bind", f"127.0.0.1:{port}", "--chdir", str(APPS)],
            }[name]
            if name == "uvicorn":
                where += ["--timeout-graceful-shutdown", "1"]
            url = f"http://127.0.0.1:{port}"
            command = [program(name), *rest, *where]
            stack.enter_context(running(command, url=url + ready, log=tmp_path / "server.log"))
            return url

        yield start


@pytest.fixture
def own_address(not_run: Callable[[str], NoReturn]) -> str:
    """An address of this machine that is not loopback."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    not_run("this machine has no address but loopback")
    raise AssertionError
