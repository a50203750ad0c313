"""Reloads and restarts under a light, constant load: no request is lost."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from advisor.render import render
from tests.render.live.site import ASGI, WSGI, advise, gunicorn, listening, nginx, of_nginx
from tests.render.live_common.hosts import loaded
from tests.render.live_common.running import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.daemon

KINDS: dict[str, dict[str, Any]] = {
    "uvicorn": {"app": ASGI},
    "gthread": {"app": WSGI, "pins": {"gunicorn.worker_class": "gthread", "gunicorn.threads": 4}},
    "sync": {"app": WSGI, "pins": {"gunicorn.worker_class": "sync", "gunicorn.workers": 2}},
}


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
