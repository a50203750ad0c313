"""Reloads and restarts under a light, constant load: no request is lost."""

from __future__ import annotations

import contextlib
import itertools
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from advisor.render import render
from tests.render.conftest import until
from tests.render.live.site import (
    ASGI,
    WSGI,
    Site,
    advise,
    gunicorn,
    listening,
    nginx,
    of_nginx,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.daemon

KINDS: dict[str, dict[str, Any]] = {
    "uvicorn": {"app": ASGI},
    "gthread": {"app": WSGI, "pins": {"gunicorn.worker_class": "gthread", "gunicorn.threads": 4}},
    "sync": {"app": WSGI, "pins": {"gunicorn.worker_class": "sync", "gunicorn.workers": 2}},
}
CLIENTS = 2
PAUSE_S = 0.005
SERVED = 50


class Load:
    """Requests one after another, each on a connection of its own, and what was wrong with some."""

    def __init__(self, site: Site) -> None:
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
def loaded(site: Site) -> Iterator[Load]:
    load = Load(site)
    with ThreadPoolExecutor(CLIENTS) as pool:
        running = [pool.submit(load.run) for _ in range(CLIENTS)]
        try:
            load.goes_on()
            yield load
            load.goes_on()
        finally:
            load.over.set()
    for each in running:
        each.result()


def workers(process: subprocess.Popen[bytes]) -> set[int]:
    return {worker.pid for worker in psutil.Process(process.pid).children()}


@pytest.mark.parametrize("kind", KINDS)
def test_reloads_and_restarts_lose_nothing(folder: Callable[[], Path], kind: str) -> None:
    files, where = render(advise(**KINDS[kind])), folder()
    mine = [file for file in of_nginx(files) if file.path.startswith("nginx/")]
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening(where))
        first = stack.enter_context(gunicorn(files, where, listener))
        site = stack.enter_context(nginx(mine, where))
        with loaded(site) as load:
            site.reload()
            load.goes_on()

            before = workers(first)
            first.send_signal(signal.SIGHUP)
            until(lambda: bool(workers(first)) and not workers(first) & before, "new workers")
            load.goes_on()

            first.send_signal(signal.SIGTERM)
            first.wait()
            stack.enter_context(gunicorn(files, where, listener))
        assert load.lost == []
