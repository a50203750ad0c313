"""TLS in nginx's files: what the target can, the first certificate, the default server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from tests.render.kit.nginx_sites import (
    ACME,
    HOSTS,
    NEW,
    OLD,
    TLS,
    advise,
    has_pass,
    locations,
    site,
    texts,
    tree,
    words,
)

if TYPE_CHECKING:
    from advisor.documents import Component
    from advisor.render.checks.nginx_own import Node

SHOP = "nginx/shop.conf"
FIRST = "nginx/shop.acme.conf"
DEFAULT = "nginx/default.conf"
WITH_DEFAULT = {"manage": ["proxy", "default-server"]}
HTTP3 = {"pins": {"nginx.http3": True}}


def redirects(text: str) -> list[Node]:
    return [
        node
        for node in tree(text).all("server")
        if not has_pass(node) and any(inner.args[:1] == ("301",) for inner in node.everywhere())
    ]


@pytest.mark.parametrize(
    ("components", "listens", "has_directive"),
    [
        (OLD, ["443 ssl http2", "[::]:443 ssl http2"], False),
        (NEW, ["443 ssl", "[::]:443 ssl"], True),
    ],
)
def test_http2_is_spelt_as_the_target_knows_it(
    components: dict[str, Component], listens: list[str], has_directive: bool
) -> None:
    rec = advise(components, **TLS)
    assert words(site(rec), "listen") == listens
    assert (words(site(rec), "http2") == ["on"]) is has_directive
    assert ("`http2 on` needs nginx 1.25.1" in texts(rec)[SHOP]) is not has_directive


def test_http2_is_left_out_where_the_module_is() -> None:
    without = {"nginx": NEW["nginx"].model_copy(update={"modules": ["http_ssl"]})}
    rec = advise(without, **TLS, pins={"nginx.http2": True})
    assert words(site(rec), "listen") == ["443 ssl", "[::]:443 ssl"]
    assert not site(rec).all("http2")
    assert "HTTP/2 is left out" in texts(rec)[SHOP]


def test_http3_only_where_it_is_asked_for_and_there() -> None:
    rec = advise(NEW, **TLS, **HTTP3)
    assert words(site(rec), "listen")[2:] == [
        "0.0.0.0:443 quic reuseport",
        "[::0]:443 quic reuseport",
    ]
    assert [node.args[1] for node in site(rec).all("add_header") if node.args[0] == "Alt-Svc"] == [
        'h3=":443"; ma=86400'
    ]
    beside = {"pins": {**HTTP3["pins"], "nginx.http3_reuseport": False}}
    assert words(site(advise(NEW, **TLS, **beside)), "listen")[2:] == [
        "0.0.0.0:443 quic",
        "[::0]:443 quic",
    ]
    old = advise(OLD, **TLS, **HTTP3)
    assert len(site(old).all("listen")) == 2
    assert "# HTTP/3 is left out: it needs nginx 1.25 with http_v3" in texts(old)[SHOP]
    assert "quic" not in texts(advise(NEW, **TLS))[SHOP]


def test_the_hybrid_curve_only_where_openssl_has_it() -> None:
    (curves,) = words(site(advise(NEW, **TLS)), "ssl_ecdh_curve")
    assert curves == "?X25519MLKEM768:X25519:prime256v1:secp384r1"
    pinned = {"pins": {"nginx.ssl_ecdh_curve": ["X25519MLKEM768", "X25519"]}}
    old = advise(OLD, **TLS, **pinned)
    assert words(site(old), "ssl_ecdh_curve") == ["X25519"]
    assert (
        "# X25519MLKEM768 is left out: it needs OpenSSL 3.5; the target's version is 3.0.17."
        in (texts(old)[SHOP])
    )
    alone = advise(OLD, **TLS, pins={"nginx.ssl_ecdh_curve": ["X25519MLKEM768"]})
    assert not site(alone).all("ssl_ecdh_curve")


def test_the_policy_is_the_settings() -> None:
    server = site(advise(**TLS))
    assert words(server, "ssl_protocols") == ["TLSv1.2 TLSv1.3"]
    (ciphers,) = words(server, "ssl_ciphers")
    assert ciphers.count(":") == 5
    assert words(server, "ssl_prefer_server_ciphers") == ["off"]
    assert words(server, "ssl_session_cache") == ["shared:shop_tls:10485760"]
    assert words(server, "ssl_session_timeout") == ["86400s"]
    assert words(server, "ssl_session_tickets") == ["off"]


def test_plain_http_leads_to_https_by_a_name_that_no_client_wrote() -> None:
    (redirect,) = redirects(texts(advise(**TLS))[SHOP])
    assert words(redirect, "listen") == ["80", "[::]:80"]
    assert words(locations(redirect)["/"], "return") == ["301 https://shop.example$request_uri"]
    (wildcard,) = redirects(texts(advise(domain="*.shop.example", **TLS))[SHOP])
    assert words(locations(wildcard)["/"], "return") == ["301 https://$host$request_uri"]


def test_the_first_certificates_file_needs_none() -> None:
    rec = advise(**ACME)
    found = texts(rec)
    assert set(found) == {SHOP, FIRST}
    assert "ssl" not in found[FIRST].replace("https", "")
    (redirect,) = redirects(found[FIRST])
    challenge = locations(redirect)["/.well-known/acme-challenge/"]
    assert words(challenge, "root") == ["/var/lib/letsencrypt"]
    assert redirects(found[SHOP]) == []
    assert words(site(rec), "ssl_certificate") == [
        "/etc/letsencrypt/live/shop.example/fullchain.pem"
    ]
    assert "--webroot-path /var/lib/letsencrypt --cert-name shop.example" in found[SHOP]


def test_a_wildcard_is_proved_by_dns() -> None:
    found = texts(advise(domain="*.shop.example", **ACME))
    assert set(found) == {SHOP}
    assert "--preferred-challenges dns" in found[SHOP]
    assert len(redirects(found[SHOP])) == 1
    assert "/etc/letsencrypt/live/shop.example/privkey.pem" in found[SHOP]


def test_the_balancer_gets_the_certificate() -> None:
    found = texts(advise(**ACME, **HOSTS))
    assert set(found) == {SHOP, "load_balancer/shop.conf", "load_balancer/shop.acme.conf"}
    assert "certbot" not in found[SHOP]


@pytest.mark.parametrize("keys", [TLS, ACME])
def test_without_a_domain_there_is_no_tls(keys: dict[str, Any]) -> None:
    rec = advise(domain=None, **keys)
    assert words(site(rec), "listen") == ["127.0.0.1:8080"]
    assert set(texts(rec)) == {SHOP}
    assert "# TLS is left out: without a domain" in texts(rec)[SHOP]


def test_the_default_server_answers_nothing() -> None:
    rec = advise(**TLS, **WITH_DEFAULT)
    plain, tls = tree(texts(rec)[DEFAULT]).all("server")
    assert words(plain, "listen") == ["80 default_server", "[::]:80 default_server"]
    assert words(plain, "return") == ["444"]
    assert words(tls, "listen") == [
        "443 ssl http2 default_server",
        "[::]:443 ssl http2 default_server",
    ]
    assert words(tls, "ssl_reject_handshake") == ["on"]
    for policy in ("ssl_protocols", "ssl_ciphers", "ssl_ecdh_curve", "ssl_session_tickets"):
        assert words(tls, policy) == words(site(rec), policy) != []
    assert DEFAULT not in texts(advise(**TLS))


def test_the_default_server_is_where_the_role_listens() -> None:
    found = texts(advise(**TLS, **WITH_DEFAULT, **HOSTS))
    (host,) = tree(found[DEFAULT]).all("server")
    assert words(host, "listen")[2:] == ["8080 default_server", "[::]:8080 default_server"]
    assert len(tree(found["load_balancer/default.conf"]).all("server")) == 2
    (loopback,) = tree(texts(advise(domain=None, **WITH_DEFAULT))[DEFAULT]).all("server")
    assert words(loopback, "listen") == ["80 default_server", "[::]:80 default_server"]


def test_an_old_nginx_cannot_refuse_a_handshake_and_the_file_says_so() -> None:
    ancient = {"nginx": OLD["nginx"].model_copy(update={"version": "1.18.0"})}
    text = texts(advise(ancient, **TLS, **WITH_DEFAULT))[DEFAULT]
    assert len(tree(text).all("server")) == 1
    assert "ssl_reject_handshake needs nginx 1.19.4" in text
    assert "1.18.0" in text


def test_an_app_cannot_take_the_default_servers_name() -> None:
    app = {"name": "default", "module": "shop.main:app", "interface": "asgi"}
    rec = advise(app=app, **WITH_DEFAULT)
    with pytest.raises(InvalidInput, match=r"app\.name"):
        texts(rec)
    assert set(texts(advise(app=app))) == {DEFAULT}
