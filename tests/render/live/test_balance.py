"""The load balancer's file before three hosts, of which one dies, or hangs."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import httpx
import pytest

from advisor.demo.processes import free_port
from advisor.render import render
from tests.render.live.site import Site, advise, deployed, nginx, of_nginx
from tests.render.live_common.clients import DOMAIN
from tests.render.live_common.hosts import HOSTS, Host, asked, on_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.daemon


@pytest.fixture
def balancer(folder: Callable[[], Path], hosts: list[Host]) -> Iterator[Site]:
    """With little patience, so that a host that hangs is left within the test's time."""
    rec = advise(
        hosts=[host.name for host in hosts],
        pins={"nginx.proxy_read_timeout": 1, "nginx.upstream_fail_timeout": 60},
    )
    (file,) = (file for file in of_nginx(render(rec)) if file.path.startswith("load_balancer/"))
    with nginx([file], folder()) as site:
        yield site


def arrived(site: Site, hosts: list[Host], path: str) -> int:
    """How often the hosts have been asked for a path, all together."""
    with site.client() as client:
        told = [client.get(f"http://127.0.0.1:{host.port}{path}").json()["n"] for host in hosts]
    return sum(told) - len(hosts)


def test_every_host_gets_its_share(balancer: Site) -> None:
    got = asked(balancer)
    assert {status for status, _ in got} == {200}
    shares = [sum(host == str(number) for _, host in got) for number in range(HOSTS)]
    assert min(shares) >= len(got) / HOSTS / 2, shares


def test_a_host_that_dies_takes_no_request_along(balancer: Site, hosts: list[Host]) -> None:
    got = asked(balancer, midway=hosts[1].crash)
    assert {status for status, _ in got} == {200}


def test_nor_does_one_of_several_sockets(folder: Callable[[], Path]) -> None:
    place = folder()
    with on_sockets(place) as (names, instances):
        (file,) = of_nginx(render(advise(hosts=names)))
        with nginx([file], place) as site:
            got = asked(site)
            assert {host for _, host in got} == {str(number) for number in range(HOSTS)}
            got += asked(site, midway=instances[1].crash)
    assert {status for status, _ in got} == {200}


def test_nor_does_one_that_is_down_from_the_start(balancer: Site, hosts: list[Host]) -> None:
    hosts[0].end()
    got = asked(balancer)
    assert {status for status, _ in got} == {200}
    assert {host for _, host in got} == {"1", "2"}


def test_one_that_hangs_is_left_for_another(balancer: Site, hosts: list[Host]) -> None:
    hosts[2].signal(signal.SIGSTOP)
    got = asked(balancer)
    assert {status for status, _ in got} == {200}
    assert {host for _, host in got} == {"0", "1"}


def test_a_post_that_was_sent_is_not_sent_again(balancer: Site, hosts: list[Host]) -> None:
    """The app may have done its work: that is for the client to decide."""
    for host in hosts:
        host.signal(signal.SIGSTOP)
    with balancer.client() as client:
        assert client.post("/order", content=b"one").status_code == 504
    for host in hosts:
        host.signal(signal.SIGCONT)
    assert arrived(balancer, hosts, "/order") == 1


def test_an_apps_own_error_is_passed_on(balancer: Site, hosts: list[Host]) -> None:
    with balancer.client() as client:
        assert client.get("/broken?status=503").status_code == 503
    assert arrived(balancer, hosts, "/broken") == 1


def test_the_client_is_told_through_both_proxies(
    folder: Callable[[], Path], certificate: Callable[[str], dict[str, str]]
) -> None:
    """TLS to the balancer, then plain HTTP to the host's nginx, which believes it alone."""
    ports, tls = [free_port(), free_port()], certificate("ecdsa")
    rec = advise(
        domain=DOMAIN,
        tls=tls,
        hosts=[f"127.0.0.1:{port}" for port in ports],
        pins={"nginx.set_real_ip_from": ["127.0.0.1/32"]},
    )
    (front,) = (file for file in of_nginx(render(rec)) if file.path.startswith("load_balancer/"))
    with (
        deployed(rec, folder(), kept=ports) as host,
        nginx([front], folder()) as balancer,
        httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9")) as stranger,
    ):
        spoofed = {"Host": DOMAIN, "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
        seen = balancer.https(tls, source="127.0.0.9", headers=spoofed).json()
        headers = dict(seen["headers"])
        assert (seen["client"], seen["scheme"], headers["host"]) == ("127.0.0.9", "https", DOMAIN)
        assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.9"
        past = stranger.get(f"http://127.0.0.1:{host.ports[str(ports[0])]}/", headers=spoofed)
        assert past.json()["client"] == "127.0.0.9"
        assert past.json()["scheme"] == "http"
