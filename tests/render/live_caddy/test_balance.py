"""The load balancer's files before three hosts, of which one dies."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from advisor.render import render
from tests.render.live.site import ASGI
from tests.render.live_caddy.site import advise, caddy, of_caddy
from tests.render.live_common.hosts import EACH, HOSTS, asked, on_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.render.live_caddy.site import Program, Site
    from tests.render.live_common.hosts import Host

pytestmark = pytest.mark.daemon


@contextlib.contextmanager
def balancer(
    program: Program, folder: Path, hosts: list[Host], health: str | None
) -> Iterator[Site]:
    rec = advise(
        program.version,
        app=ASGI | {"health": health},
        hosts=[host.name for host in hosts],
    )
    with caddy(program, of_caddy(render(rec), "load_balancer"), folder) as site:
        yield site


@pytest.mark.parametrize("health", [None, "/healthz"])
def test_a_host_that_dies_takes_no_request_along(
    program: Program, folder: Callable[[], Path], hosts: list[Host], health: str | None
) -> None:
    with balancer(program, folder(), hosts, health) as site:
        got = asked(site)
        assert {status for status, _ in got} == {200}
        shares = [sum(host == str(number) for _, host in got) for number in range(HOSTS)]
        assert min(shares) >= len(got) / HOSTS / 3, shares
        got = asked(site, midway=hosts[1].crash)
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


def test_nor_does_one_of_several_sockets(program: Program, folder: Callable[[], Path]) -> None:
    place = folder()
    with on_sockets(place) as (names, instances):
        rec = advise(program.version, app=ASGI, hosts=names)
        # As Caddy spells them, and where they are.
        moved = {name.replace(":", "/"): name.replace(":", f"/{place}") for name in names}
        with caddy(program, of_caddy(render(rec)), place, moved) as site:
            got = asked(site)
            assert {host for _, host in got} == {str(number) for number in range(HOSTS)}
            got += asked(site, midway=instances[1].crash)
    assert {status for status, _ in got} == {200}


def test_an_apps_own_error_is_passed_on(
    program: Program, folder: Callable[[], Path], hosts: list[Host]
) -> None:
    with balancer(program, folder(), hosts, None) as site, site.client() as client:
        assert client.get("/broken?status=503").status_code == 503
