"""The load balancer's files before three hosts, of which one dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from advisor.demo.processes import free_port
from advisor.demo.processes import program as installed
from advisor.render import render
from tests.render.conftest import until
from tests.render.live.site import APPS, ASGI, answers
from tests.render.live_caddy.site import advise, caddy, of_caddy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.render.live_caddy.site import Program, Site

pytestmark = pytest.mark.daemon

HOSTS = 3
CLIENTS = 4
EACH = 75


class Host:
    """One app host: an app server on a port, which a test may end."""

    def __init__(self, number: int) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                *(installed("uvicorn"), "live_asgi:app", "--app-dir", str(APPS)),
                *("--port", str(self.port), "--header", f"X-Host:{number}"),
                *("--log-level", "warning"),
            ],
            start_new_session=True,
        )

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    with contextlib.ExitStack() as stack:
        started = [Host(number) for number in range(HOSTS)]
        for host in started:
            stack.callback(host.end)
        until(lambda: all(answers(host.port) for host in started), "three app servers")
        yield started


@contextlib.contextmanager
def balancer(
    program: Program, folder: Path, hosts: list[Host], health: str | None
) -> Iterator[Site]:
    rec = advise(
        program.version,
        app=ASGI | {"health": health},
        hosts=[f"127.0.0.1:{host.port}" for host in hosts],
    )
    with caddy(program, of_caddy(render(rec), "load_balancer"), folder) as site:
        yield site


def asked(site: Site, *, midway: Callable[[], None] = lambda: None) -> list[tuple[int, str]]:
    """Status and host of a few hundred requests; amid them one client does `midway`."""

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


@pytest.mark.parametrize("health", [None, "/healthz"])
def test_a_host_that_dies_takes_no_request_along(
    program: Program, folder: Callable[[], Path], hosts: list[Host], health: str | None
) -> None:
    with balancer(program, folder(), hosts, health) as site:
        got = asked(site)
        assert {status for status, _ in got} == {200}
        shares = [sum(host == str(number) for _, host in got) for number in range(HOSTS)]
        assert min(shares) >= len(got) / HOSTS / 3, shares
        got = asked(site, midway=hosts[1].end)
        assert {status for status, _ in got} == {200}
        assert {host for _, host in got[-EACH // 4 :]} == {"0", "2"}


@pytest.mark.parametrize("health", [None, "/healthz"])
def test_nor_does_one_that_is_down_from_the_start(
    program: Program, folder: Callable[[], Path], hosts: list[Host], health: str | None
) -> None:
    hosts[0].end()
    with balancer(program, folder(), hosts, health) as site:
        got = asked(site)
    assert {status for status, _ in got} == {200}
    assert {host for _, host in got} == {"1", "2"}


def test_an_apps_own_error_is_passed_on(
    program: Program, folder: Callable[[], Path], hosts: list[Host]
) -> None:
    with balancer(program, folder(), hosts, None) as site, site.client() as client:
        assert client.get("/broken?status=503").status_code == 503
