"""What the rendered Caddy offers over TLS, enumerated from outside, and what stands around it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.render.live_common.clients import (
    DOMAIN,
    EVERYTHING,
    check_sent_to_https,
    context,
    shared,
)
from tests.render.live_common.running import DEADLINE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live_caddy.site import Site

pytestmark = [
    pytest.mark.daemon,
    # To be told that a server refuses what is old, one has to ask for it.
    pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning"),
]

HSTS_S = 63072000
# Mozilla's intermediate suites (6.0) for the certificate's kind of key.
SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
SUITES_13 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


@pytest.fixture(scope="module")
def site(start: Callable[..., Site], certificate: dict[str, str]) -> Site:
    return start(domain=DOMAIN, tls=certificate)


@pytest.fixture(scope="module")
def pinned(start: Callable[..., Site], certificate: dict[str, str]) -> Site:
    pins = {"caddy.tls_protocols": ["tls1.3"], "caddy.tls_curves": ["secp384r1"]}
    return start(with_app=False, domain=DOMAIN, tls=certificate, pins=pins)


def agreed(site: Site, with_: ssl.SSLContext) -> tuple[str | None, str, str | None]:
    return shared(site.https_port, with_)


def offered(site: Site, certificate: dict[str, str], version: ssl.TLSVersion) -> set[str]:
    """Every suite that it accepts with a version, the accepted ones taken away one by one."""
    found: set[str] = set()
    while True:
        asks = context(certificate, ":".join([EVERYTHING, *(f"!{name}" for name in found)]))
        asks.minimum_version = asks.maximum_version = version
        try:
            _, suite, _ = agreed(site, asks)
        except ssl.SSLError:
            return found
        if suite in found:
            return found
        found.add(suite)


def test_tls_1_2_has_the_policys_suites_and_no_other(
    site: Site, certificate: dict[str, str]
) -> None:
    assert offered(site, certificate, ssl.TLSVersion.TLSv1_2) == SUITES


def test_tls_1_3_is_there(site: Site, certificate: dict[str, str]) -> None:
    assert offered(site, certificate, ssl.TLSVersion.TLSv1_3) <= SUITES_13
    version, suite, _ = agreed(site, context(certificate))
    assert version == "TLSv1.3"
    assert suite in SUITES_13


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_what_is_older_is_not(
    site: Site, certificate: dict[str, str], version: ssl.TLSVersion
) -> None:
    assert offered(site, certificate, version) == set()


def test_pins_narrow_it(pinned: Site, certificate: dict[str, str]) -> None:
    assert offered(pinned, certificate, ssl.TLSVersion.TLSv1_2) == set()
    asks = context(certificate)
    asks.set_ecdh_curve("prime256v1")
    with pytest.raises(ssl.SSLError):
        agreed(pinned, asks)
    asks.set_ecdh_curve("secp384r1")
    assert agreed(pinned, asks)[0] == "TLSv1.3"


def https(site: Site, certificate: dict[str, str], path: str = "/") -> httpx.Response:
    """An answer over TLS; the domain is looked up nowhere."""
    with httpx.Client(verify=context(certificate), trust_env=False, timeout=DEADLINE_S) as client:
        return client.get(
            f"https://127.0.0.1:{site.https_port}{path}",
            headers={"Host": DOMAIN},
            extensions={"sni_hostname": DOMAIN},
        )


def test_http_2_is_chosen_and_http_3_not_told_of(site: Site, certificate: dict[str, str]) -> None:
    asks = context(certificate)
    asks.set_alpn_protocols(["h2", "http/1.1"])
    assert agreed(site, asks)[2] == "h2"
    assert "alt-svc" not in https(site, certificate).headers


def test_http_3_is_there_where_it_is_asked_for(
    start: Callable[..., Site], certificate: dict[str, str]
) -> None:
    site = start(domain=DOMAIN, tls=certificate, pins={"caddy.http3": True})
    assert "h3=" in https(site, certificate).headers["alt-svc"]


def test_the_app_knows_that_it_is_https(site: Site, certificate: dict[str, str]) -> None:
    told = https(site, certificate).json()
    assert told["scheme"] == dict(told["headers"])["x-forwarded-proto"] == "https"
    assert dict(told["headers"])["host"] == DOMAIN


@pytest.mark.parametrize("path", ["/", "/?status=500"])
def test_browsers_are_told_to_come_back_by_https(
    site: Site, certificate: dict[str, str], path: str
) -> None:
    answer = https(site, certificate, path)
    assert answer.headers.get_list("strict-transport-security") == [f"max-age={HSTS_S}"]


def test_the_apps_own_word_on_that_stands(site: Site, certificate: dict[str, str]) -> None:
    answer = https(site, certificate, "/?header=strict-transport-security:max-age=1")
    assert answer.headers.get_list("strict-transport-security") == ["max-age=1"]


def test_plain_http_is_sent_to_https_and_nothing_else(site: Site) -> None:
    check_sent_to_https(site, {308})
