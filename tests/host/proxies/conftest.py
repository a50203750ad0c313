"""Real proxies in front of real servers, all on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from advisor.host.components import find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NGINX = """\
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    {http}
}}
"""


class Proxies:
    """Starts proxies in a folder, waits until they listen, and ends them."""

    def __init__(self, folder: Path, not_run: Callable[[str], None]) -> None:
        self.folder = folder
        self.not_run = not_run
        self.running: list[subprocess.Popen[bytes]] = []

    def program(self, name: str) -> str:
        found = find(name)
        if found is None:
            self.not_run(f"no {name} that may be run here")
        return str(found)

    def nginx(
        self, http: str, *ports: int, name: str = "nginx.conf", user: int | None = None
    ) -> int:
        """An nginx with these directives inside `http`; gives its master's PID."""
        path = self.folder / name
        path.write_text(NGINX.format(folder=self.folder, http=http))
        words = [self.program("nginx"), "-p", str(self.folder), "-c", str(path)]
        return self.start(words, *ports, user=user)

    def caddy(
        self, text: str, *ports: int, name: str = "Caddyfile", user: int | None = None
    ) -> int:
        """A Caddy with this Caddyfile; gives its PID."""
        path = self.folder / name
        path.write_text(text)
        words = [self.program("caddy"), "run", "--config", str(path), "--adapter", "caddyfile"]
        return self.start(words, *ports, user=user)

    def start(self, words: list[str], *ports: int, user: int | None = None) -> int:
        log = self.folder / "proxy.log"
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data")}
        with log.open("ab") as stream:
            process = subprocess.Popen(
                words,
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                env={"PATH": os.defpath, **home},
                user=user,
            )
        self.running.append(process)
        deadline = time.monotonic() + 20
        while not all(map(listens, ports)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        return process.pid

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def proxies(folder: Path, not_run: Callable[[str], None]) -> Iterator[Proxies]:
    started = Proxies(folder, not_run)
    yield started
    started.close()
