"""Copied hosts, and real servers to look at."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.host import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import Server

FIXTURES = Path(__file__).parent / "fixtures"
APPS = Path(__file__).parent.parent / "apps"
BIN = Path(sys.executable).parent
APP = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def create():
    return app


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


def unpack(name: str, root: Path) -> None:
    """A fixture is one text: a remark, then `--- path` before each file's content."""
    _, *files = (FIXTURES / f"{name}.tree").read_text().split("\n--- ")
    for file in files:
        path, _, content = file.partition("\n")
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content.removesuffix("\n") + "\n")


@pytest.fixture(scope="session")
def copy_host() -> Callable[[str, Path], None]:
    """Put a copied host below a folder."""

    def make(name: str, root: Path) -> None:
        unpack("common", root)
        unpack(name, root)

    return make


@pytest.fixture
def tree(tmp_path: Path, copy_host: Callable[[str, Path], None]) -> Callable[[str], Path]:
    """The root of a copied host."""

    def make(name: str) -> Path:
        copy_host(name, tmp_path)
        return tmp_path

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an app that needs nothing, which every user may read."""
    (tmp_path / "shop.py").write_text(APP)
    temporary = Path(tempfile.gettempdir())
    for path in (tmp_path, *tmp_path.parents):
        if temporary in path.parents:
            path.chmod(0o755)
    return tmp_path


@pytest.fixture
def free_port() -> Callable[[str], int]:
    def find(address: str = "127.0.0.1") -> int:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            return int(probe.getsockname()[1])

    return find


class Launcher:
    """Starts servers in a folder, waits until they serve, and ends them with their children."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[bytes]] = []

    def __call__(
        self,
        *words: str | int,
        workers: int = 1,
        environment: dict[str, str] | None = None,
        user: int | None = None,
    ) -> Server:
        """The server, as soon as all its workers are there and listen."""
        program, *rest = map(str, words)
        log = self.folder / "server.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [str(BIN / program), *rest],
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                env={"PATH": os.defpath, "HOME": str(self.folder), **(environment or {})},
                start_new_session=True,
                user=user,
            )
        self.running.append(process)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            server = servers.server_of(process.pid)
            if server.listen and len(server.workers) == workers and self._serves(server):
                return server
            time.sleep(0.05)
        raise AssertionError(f"not up in 30 s: {log.read_text()}")

    def _serves(self, server: Server) -> bool:
        return "shop" in str(server.app) and answers(server.listen[0])

    def close(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(listen: str) -> bool:
    """Whether a GET over the socket comes back with 200."""
    address: str | tuple[str, int]
    if listen.startswith("unix:"):
        family, address = socket.AF_UNIX, listen.removeprefix("unix:")
    else:
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if "[" in host else socket.AF_INET
        address = (host.strip("[]"), int(port))
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(2)
            client.connect(address)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@pytest.fixture
def launch(folder: Path) -> Iterator[Launcher]:
    launcher = Launcher(folder)
    yield launcher
    launcher.close()
