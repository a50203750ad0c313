"""What the rendered nginx offers over TLS, enumerated from outside, and what stands around it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from advisor.render.checks.result import find_program
from tests.render.live.site import advise, v6_loopback
from tests.render.live_common.clients import DOMAIN, check_sent_to_https, context, shared
from tests.render.live_common.running import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

    Certificate = Callable[[str], dict[str, str]]

pytestmark = [
    pytest.mark.daemon,
    # To be told that a server refuses what is old, one has to ask for it.
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"),
]

OLD, NEW = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1), ("TLSv1.2", "TLSv1.3")
KINDS = ("ecdsa", "rsa")


@pytest.fixture(scope="module")
def sites(start: Callable[..., Site], certificate: Certificate) -> dict[str, Site]:
    """One site a kind of key; that of ECDSA has an app."""
    return {
        kind: start(with_app=kind == "ecdsa", domain=DOMAIN, tls=certificate(kind))
        for kind in KINDS
    }


@pytest.fixture(scope="module")
def settings(certificate: Certificate) -> dict[str, Any]:
    rec = advise(domain=DOMAIN, tls=certificate("ecdsa"))
    return {setting.id: setting.value for setting in rec.settings}


def agreed(site: Site, with_: ssl.SSLContext) -> tuple[str | None, str, str | None]:
    return shared(site.ports["443"], with_)


@pytest.mark.parametrize("kind", KINDS)
def test_the_versions_are_those_of_the_settings(
    sites: dict[str, Site], certificate: Certificate, settings: dict[str, Any], kind: str
) -> None:
    offered = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        asks = context(certificate(kind))
        asks.minimum_version = asks.maximum_version = version
        offered.append(agreed(sites[kind], asks)[0])
    assert offered == settings["nginx.ssl_protocols"] == list(NEW)
    for version in OLD:
        asks = context(certificate(kind))
        asks.minimum_version = asks.maximum_version = version
        with pytest.raises(ssl.SSLError) as refusal:
            agreed(sites[kind], asks)
        # The server's own word, not this client's inability.
        assert refusal.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_the_suites_are_those_of_the_settings(
    sites: dict[str, Site], certificate: Certificate, settings: dict[str, Any]
) -> None:
    """Every suite that OpenSSL has, one by one, with a key of either kind."""
    every = context(certificate("rsa")).get_ciphers()
    names = [each["name"] for each in every if each["protocol"] != "TLSv1.3"]
    assert len(names) > 50, "OpenSSL knows too few to prove anything"
    offered = {
        name for kind in KINDS for name in names if _is_taken(sites[kind], certificate(kind), name)
    }
    assert offered == set(settings["nginx.ssl_ciphers"])


def _is_taken(site: Site, certificate: dict[str, str], name: str) -> bool:
    asks = context(certificate, f"{name}:@SECLEVEL=0")
    asks.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        return agreed(site, asks)[1] == name
    except (ssl.SSLError, ConnectionResetError):
        return False


def test_the_client_chooses_among_them(sites: dict[str, Site], certificate: Certificate) -> None:
    """A phone without AES in hardware is faster with ChaCha20."""
    for first in ("ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"):
        asks = context(certificate("ecdsa"), f"{first}:ECDHE-ECDSA-AES128-GCM-SHA256")
        asks.maximum_version = ssl.TLSVersion.TLSv1_2
        assert agreed(sites["ecdsa"], asks)[1] == first


@pytest.mark.parametrize(
    ("curve", "setting"),
    [
        ("X25519", "X25519"),
        ("P-256", "prime256v1"),
        ("P-384", "secp384r1"),
        ("P-521", "secp521r1"),
        ("X448", "X448"),
    ],
)
def test_the_curves_are_those_of_the_settings(
    sites: dict[str, Site], settings: dict[str, Any], curve: str, setting: str
) -> None:
    where = f"127.0.0.1:{sites['ecdsa'].ports['443']}"
    done = subprocess.run(
        [str(find_program("openssl")), "s_client", "-connect", where, "-groups", curve, "-tls1_3"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    is_taken = "Cipher is TLS_" in done.stdout
    assert is_taken == (setting in settings["nginx.ssl_ecdh_curve"]), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("offers", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")]
)
def test_http_2_is_agreed_on_where_the_client_knows_it(
    sites: dict[str, Site], certificate: Certificate, offers: list[str], chosen: str
) -> None:
    asks = context(certificate("ecdsa"))
    asks.set_alpn_protocols(offers)
    assert agreed(sites["ecdsa"], asks)[2] == chosen


@pytest.mark.parametrize(("http2", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_the_app_is_told_of_tls(
    sites: dict[str, Site], certificate: Certificate, http2: bool, version: str
) -> None:
    answer = sites["ecdsa"].https(certificate("ecdsa"), http2=http2)
    assert answer.http_version == version
    headers = dict(answer.json()["headers"])
    assert headers["x-forwarded-proto"] == answer.json()["scheme"] == "https"
    assert headers["host"] == DOMAIN


def test_browsers_are_told_to_come_back_by_https(
    sites: dict[str, Site], certificate: Certificate, settings: dict[str, Any]
) -> None:
    for path in ("/", "/?status=500"):
        answer = sites["ecdsa"].https(certificate("ecdsa"), path)
        (said,) = answer.headers.get_list("strict-transport-security")
        assert said.split(";")[0] == f"max-age={settings['nginx.hsts_max_age']}"


def test_plain_http_is_sent_to_https_and_nothing_else(sites: dict[str, Site]) -> None:
    check_sent_to_https(sites["ecdsa"], {301, 308})


def test_ipv6_is_served_as_ipv4_is(
    sites: dict[str, Site], certificate: Certificate, not_run: Callable[[str], NoReturn]
) -> None:
    site = sites["ecdsa"]
    if not socket.has_ipv6 or v6_loopback() != "[::1]":
        not_run("this machine has no IPv6")
    with socket.create_connection(("::1", site.port), timeout=DEADLINE_S) as plain:
        plain.sendall(f"GET / HTTP/1.0\r\nHost: {DOMAIN}\r\n\r\n".encode())
        assert plain.recv(4096).startswith(b"HTTP/1.1 301")
    with (
        socket.create_connection(("::1", site.ports["443"]), timeout=DEADLINE_S) as plain,
        context(certificate("ecdsa")).wrap_socket(plain, server_hostname=DOMAIN) as done,
    ):
        done.sendall(f"GET / HTTP/1.0\r\nHost: {DOMAIN}\r\n\r\n".encode())
        assert b'"x-forwarded-for", "::1"' in done.recv(65536)


def test_a_session_is_resumed(sites: dict[str, Site], certificate: Certificate) -> None:
    """With TLS 1.2, where the server's cache is what is looked into."""
    asks = context(certificate("ecdsa"))
    asks.maximum_version = ssl.TLSVersion.TLSv1_2
    address = ("127.0.0.1", sites["ecdsa"].ports["443"])
    session = None
    for is_again in (False, True):
        with (
            socket.create_connection(address, timeout=DEADLINE_S) as plain,
            asks.wrap_socket(plain, server_hostname=DOMAIN, session=session) as done,
        ):
            session = done.session
            assert done.session_reused is is_again
