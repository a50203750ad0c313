"""Several app hosts behind a balancer, and clients that notice what becomes of each request."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from advisor.demo.processes import free_port, program
from tests.render.live_common.running import answers, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.render.live_common.clients import Served

APPS = Path(__file__).parents[1] / "live" / "apps"
HOSTS = 3
CLIENTS = 4
EACH = 75

STEADY = 2
PAUSE_S = 0.005
SERVED = 50


class Host:
    """One app host: an app server on a port or a socket, which a test may end, stop and ask."""

    def __init__(self, number: int, uds: Path | None = None) -> None:
        self.port = free_port()
        where = ["--uds", str(uds)] if uds else ["--port", str(self.port)]
        command = [program("uvicorn"), "live_asgi:app", "--app-dir", str(APPS)]
        command += [*where, "--header", f"X-Host:{number}"]
        command += ["--log-level", "warning"]
        self.process = subprocess.Popen(command, start_new_session=True)

    @property
    def name(self) -> str:
        """As `hosts` of advisor.yml has it."""
        return f"127.0.0.1:{self.port}"

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def crash(self) -> None:
        """Die at once, with requests under way of which nothing has been answered."""
        self.signal(signal.SIGUSR2)
        self.process.wait()

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def started() -> Iterator[list[Host]]:
    """As many as `HOSTS`, each answering."""
    with contextlib.ExitStack() as stack:
        hosts = [Host(number) for number in range(HOSTS)]
        for host in hosts:
            stack.callback(host.end)
        until(lambda: all(answers(host.port) for host in hosts), "three app servers")
        yield hosts


@contextlib.contextmanager
def on_sockets(place: Path) -> Iterator[tuple[list[str], list[Host]]]:
    """As many instances on one host whose root is `place`: `hosts` of advisor.yml, and they."""
    paths = [f"run/shop-{number}/shop-{number}.sock" for number in range(HOSTS)]
    with contextlib.ExitStack() as stack:
        instances = []
        for number, path in enumerate(paths):
            (place / path).parent.mkdir(parents=True)
            instances.append(Host(number, place / path))
            stack.callback(instances[-1].end)
        until(lambda: all((place / path).exists() for path in paths), "three app servers")
        yield [f"unix:/{path}" for path in paths], instances


def asked(site: Served, *, midway: Callable[[], None] = lambda: None) -> list[tuple[int, str]]:
    """Status and host of a few hundred requests, halfway through which a client does `midway`."""

    def ask(client_number: int) -> list[tuple[int, str]]:
        got = []
        with site.client() as client:
            for number in range(EACH):
                if client_number == 0 and number == EACH // 2:
                    midway()
                answer = client.get("/", params={"wait": 0.002})
                got.append((answer.status_code, answer.headers.get("x-host", "")))
        return got

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [each for got in pool.map(ask, range(CLIENTS)) for each in got]


class Load:
    """Requests one after another, each on a connection of its own, and what was wrong with some."""

    def __init__(self, site: Served) -> None:
        self.site = site
        self.served = itertools.count()
        self.count = 0
        self.lost: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(PAUSE_S):
            try:
                with self.site.client() as client:
                    answer = client.get("/", params={"wait": PAUSE_S})
                if answer.status_code != httpx.codes.OK:
                    self.lost.append(str(answer.status_code))
            except httpx.HTTPError as error:
                self.lost.append(repr(error))
            self.count = next(self.served)

    def goes_on(self) -> None:
        """Wait for more requests to be served."""
        target = self.count + SERVED
        until(lambda: self.count >= target, f"{SERVED} more requests")


@contextlib.contextmanager
def loaded(site: Served) -> Iterator[Load]:
    """A light, constant load on a site."""
    load = Load(site)
    with ThreadPoolExecutor(STEADY) as pool:
        running = [pool.submit(load.run) for _ in range(STEADY)]
        try:
            load.goes_on()
            yield load
            load.goes_on()
        finally:
            load.over.set()
    for each in running:
        each.result()
