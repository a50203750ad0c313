"""Who asks for a name that nobody serves here gets nothing: no answer, no certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.render.live_common.clients import DOMAIN
from tests.render.live_common.running import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

MANAGE = ["server", "proxy", "systemd", "default-server"]


@pytest.fixture(scope="module")
def site(start: Callable[..., Site], certificate: Callable[[str], dict[str, str]]) -> Site:
    return start(with_app=False, domain=DOMAIN, tls=certificate("ecdsa"), manage=MANAGE)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", f"x.{DOMAIN}"])
def test_a_strange_name_is_not_answered(site: Site, host: str) -> None:
    assert site.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == ""


def test_no_name_is_not_answered_either(site: Site) -> None:
    assert site.raw("GET / HTTP/1.0\r\n\r\n") == ""


def test_the_sites_own_name_is(site: Site) -> None:
    answer = site.raw(f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 30")


@pytest.mark.parametrize("name", ["evil.example", None])
def test_a_strange_name_gets_no_certificate(site: Site, name: str | None) -> None:
    with pytest.raises(ssl.SSLError) as refusal:
        certificate_for(site, name)
    assert refusal.value.reason == "TLSV1_UNRECOGNIZED_NAME"


def test_the_sites_own_name_gets_one(site: Site) -> None:
    assert certificate_for(site, DOMAIN)


def certificate_for(site: Site, name: str | None) -> bytes | None:
    """The certificate that nginx shows who asks for a name, or for none."""
    asks = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asks.check_hostname, asks.verify_mode = False, ssl.CERT_NONE
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", site.ports["443"])
        plain = stack.enter_context(socket.create_connection(address, timeout=DEADLINE_S))
        done = stack.enter_context(asks.wrap_socket(plain, server_hostname=name))
        return done.getpeercert(binary_form=True)
