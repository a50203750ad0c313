"""What Caddy's files hold for which recommendation; what Caddy makes of it is tested elsewhere."""

from __future__ import annotations

import doctest
import re
from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from advisor.render import not_rendered, render
from advisor.render.kit import caddy_site
from advisor.render.quoting import caddy, caddy_comment
from advisor.rules import RULES
from tests.render.live_caddy.site import advise

if TYPE_CHECKING:
    from advisor.documents import Recommendation

OLD, NEW = "2.6.2", "2.11.7"
MODULES = ["http.handlers.cache", "http.handlers.rate_limit"]
DOMAIN = {"domain": "shop.example"}
TLS = DOMAIN | {"tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"}}
HOSTS = DOMAIN | {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000", "web3.example:8000"]}
SITE, HOST = "caddy/shop.caddy", "caddy/Caddyfile"
BALANCER, BALANCERS_HOST = "load_balancer/shop.caddy", "load_balancer/Caddyfile"
# A value of each setting that is not what the rule would say, and what then stands in a file.
WRITTEN: dict[str, tuple[Any, str]] = {
    "caddy.upstream_keepalive": (77, "keepalive_idle_conns_per_host 77"),
    "caddy.upstream_keepalive_idle": (61, "keepalive 61s"),
    "caddy.dial_timeout": (4, "dial_timeout 4s"),
    "caddy.response_header_timeout": (91, "response_header_timeout 91s"),
    "caddy.read_timeout": (92, "read_timeout 92s"),
    "caddy.write_timeout": (93, "write_timeout 93s"),
    "caddy.request_buffers": (5000, "request_buffers 5000"),
    "caddy.response_buffers": (6000, "response_buffers 6000"),
    "caddy.stream_flush_interval": (-1, "flush_interval -1"),
    "caddy.stream_close_delay": (301, "stream_close_delay 301s"),
    "caddy.stream_timeout": (3601, "stream_timeout 3601s"),
    "caddy.grace_period": (41, "grace_period 41s"),
    "caddy.lb_policy": ("ip_hash", "lb_policy ip_hash"),
    "caddy.lb_try_duration": (6, "lb_try_duration 6s"),
    "caddy.lb_retries": (2, "lb_retries 2"),
    "caddy.max_fails": (4, "max_fails 4"),
    "caddy.fail_duration": (11, "fail_duration 11s"),
    "caddy.health_uri": ("/up", "health_uri /up"),
    "caddy.health_interval": (12, "health_interval 12s"),
    "caddy.health_timeout": (7, "health_timeout 7s"),
    "caddy.read_header": (16, "read_header 16s"),
    "caddy.read_body": (601, "read_body 601s"),
    "caddy.write": (602, "write 602s"),
    "caddy.idle": (76, "idle 76s"),
    "caddy.request_body_max": (1234, "max_size 1234"),
    "caddy.encode": (["gzip"], "encode @packed gzip {"),
    "caddy.encode_minimum_length": (300, "minimum_length 300"),
    "caddy.static_cache_control": ("no-cache", "header ?Cache-Control no-cache"),
    "caddy.tls_protocols": (["tls1.3"], "protocols tls1.3 tls1.3"),
    "caddy.tls_curves": (["x25519mlkem768", "x25519"], "curves x25519mlkem768 x25519"),
    "caddy.hsts_max_age": (3600, "header ?Strict-Transport-Security max-age=3600"),
    "caddy.rate_limit_window": (3, "window 3s"),
    "caddy.rate_limit_events": (63, "events 63"),
    "caddy.microcache_ttl": (["/api/search 2s"], "ttl 2s"),
    "caddy.microcache_bypass": (["Cookie"], "not header Cookie *"),
    "caddy.trusted_proxies": (["10.0.0.5/32"], "trusted_proxies 10.0.0.5/32"),
    "caddy.http3": (True, ""),
}
CADDYS = [id_ for id_ in RULES if id_.startswith("caddy.")]
EVERYTHING: dict[str, Any] = {
    "routes": {"/ws": "websocket", "/events": "stream", "/api/search": {"microcache": "1s"}},
    "static": {"/static/": "/srv/shop/static"},
    "limits": {"rate_per_client_rps": 20, "request_body": "10M"},
    "app": {
        "name": "shop",
        "module": "shop.main:app",
        "interface": "wsgi",
        "health": "/healthz",
    },
}


def files(rec: Recommendation) -> dict[str, str]:
    return {file.path: file.content.decode() for file in render(rec) if file.output}


def caddys(rec: Recommendation) -> dict[str, str]:
    return {
        path: text
        for path, text in files(rec).items()
        if path.startswith(("caddy/", "load_balancer/"))
    }


def without_comments(text: str) -> str:
    return re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)


def test_the_examples_in_the_docstrings_are_true() -> None:
    results = doctest.testmod(caddy_site)
    assert results.attempted
    assert not results.failed


def test_there_is_a_case_for_every_setting() -> None:
    assert set(CADDYS) <= set(WRITTEN)


# What a load balancer does, and what only somebody who is behind another proxy asks for.
ONLY_BALANCED = re.compile(r"caddy\.((lb|health)_|max_fails|fail_duration)")
ONLY_EDGE = {"caddy.trusted_proxies"}


@pytest.mark.parametrize(
    ("where", "id_"),
    [
        (where, id_)
        for id_ in CADDYS
        for where in ("edge", "balanced")
        if WRITTEN[id_][1]
        and not (where == "edge" and ONLY_BALANCED.match(id_))
        and not (where == "balanced" and id_ in ONLY_EDGE)
    ],
)
def test_every_setting_is_written_with_its_reason(where: str, id_: str) -> None:
    value, line = WRITTEN[id_]
    keys = EVERYTHING | TLS | (HOSTS if where == "balanced" else {})
    pins = {"gunicorn.worker_class": "sync"} | {id_: value}
    rec = advise(NEW, modules=MODULES, pins=pins, **keys)
    text = "\n".join(caddys(rec).values())
    assert re.search(rf"# \S.*\n\s*{re.escape(line)}$", text, re.MULTILINE), text
    assert id_ not in not_rendered(rec)


def test_nothing_is_left_unsaid_of_what_is_recommended() -> None:
    rec = advise(NEW, modules=MODULES, **EVERYTHING, **TLS)
    assert not [id_ for id_ in not_rendered(rec) if id_.startswith("caddy.")]


def test_a_null_is_left_out() -> None:
    pins = {"caddy.idle": None, "caddy.read_header": None, "caddy.grace_period": None}
    text = files(advise(NEW, pins=pins))[HOST]
    for word in ("idle", "read_header", "timeouts", "grace_period"):
        assert word not in without_comments(text)


@pytest.mark.parametrize(
    "keys", [{"proxy": "nginx"}, {"proxy": "none"}, {"manage": ["server", "systemd"]}]
)
def test_it_is_rendered_only_where_caddy_is_ours(keys: dict[str, Any]) -> None:
    assert not [
        path for path in files(advise(NEW, **keys)) if path.endswith(("caddy", "Caddyfile"))
    ]


@pytest.mark.parametrize(
    ("keys", "heads"),
    [
        ({}, ["http://:8080 {"]),
        ({"tls": TLS["tls"]}, ["http://:8080 {"]),
        (DOMAIN, ["http://shop.example {"]),
        (TLS, ["http://shop.example {", "https://shop.example {"]),
        (
            {"domain": "*.shop.example", "tls": {"acme": True}},
            ["http://*.shop.example {", "https://*.shop.example {"],
        ),
    ],
)
def test_where_the_site_is(keys: dict[str, Any], heads: list[str]) -> None:
    text = files(advise(NEW, **keys))[SITE]
    assert re.findall(r"^https?:.*", text, re.MULTILINE) == heads
    assert ("bind 127.0.0.1" in text) == ("domain" not in keys)
    assert ("Strict-Transport-Security" in text) == (heads[-1].startswith("https"))


def test_own_certificates_are_named_and_those_of_acme_are_not() -> None:
    assert "\ttls /etc/ssl/shop.pem /etc/ssl/shop.key\n" in files(advise(NEW, **TLS))[SITE]
    assert "\ttls" not in files(advise(NEW, **DOMAIN, tls={"acme": True}))[SITE]


@pytest.mark.parametrize(
    ("listen", "upstream"),
    [
        ("unix", "unix//run/shop/shop.sock"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:8000", "127.0.0.1:8000"),
        ("[::]:8000", "[::1]:8000"),
    ],
)
def test_where_requests_go(listen: str, upstream: str) -> None:
    assert f"\tto {upstream}\n" in files(advise(NEW, listen=listen))[SITE]


def test_several_sockets_of_one_host_need_no_balancer() -> None:
    sockets = ["unix:/run/shop-1/shop-1.sock", "unix:/run/shop-2/shop-2.sock"]
    found = files(advise(NEW, **DOMAIN, hosts=sockets))
    assert BALANCER not in found
    assert "\tto unix//run/shop-1/shop-1.sock\n\tto unix//run/shop-2/shop-2.sock\n" in found[SITE]
    assert "lb_policy least_conn" in found[SITE]


def test_several_hosts_have_a_load_balancer_and_answer_it() -> None:
    rec = advise(NEW, **(EVERYTHING | TLS | HOSTS), modules=MODULES)
    found = caddys(rec)
    assert set(found) == {SITE, HOST, BALANCER, BALANCERS_HOST}
    member, balancer = found[SITE], found[BALANCER]
    assert "http://shop.example:8000 {" in member
    assert "https://" not in without_comments(member)
    assert re.findall(r"^\tto (.*)", member, re.MULTILINE) == ["unix//run/shop/shop.sock"]
    assert re.findall(r"^\tto (.*)", balancer, re.MULTILINE) == HOSTS["hosts"]
    assert "\thealth_headers {\n\t\tHost shop.example\n" in balancer
    for text, only in ((member, "file_server"), (balancer, "rate_limit {"), (balancer, "encode")):
        other = balancer if text is member else member
        assert only in without_comments(text)
        assert only not in without_comments(other)


def test_hosts_on_several_ports_are_answered_on_each() -> None:
    rec = advise(NEW, **DOMAIN, hosts=["10.0.0.1:8001", "10.0.0.2:80", "10.0.0.3:8001"])
    assert "http://shop.example:80, http://shop.example:8001 {" in files(rec)[SITE]


def test_where_the_apps_are_reached_directly_there_is_only_the_balancer() -> None:
    rec = advise(NEW, listen="0.0.0.0:8000", **HOSTS)
    assert set(caddys(rec)) == {BALANCER, BALANCERS_HOST}


def test_port_443_behind_the_balancer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"hosts.*10\.0\.0\.2:443"):
        render(advise(NEW, **DOMAIN, hosts=["10.0.0.1:80", "10.0.0.2:443"]))


def test_a_path_is_not_a_route_and_a_folder_at_once() -> None:
    with pytest.raises(InvalidInput, match="routes: /static"):
        render(advise(NEW, static={"/static/": "/srv"}, routes={"/static": "stream"}))


def test_the_longest_path_comes_first() -> None:
    rec = advise(
        NEW,
        static={"/a": "/srv/a", "/a/b/c": "/srv/c"},
        routes={"/": "stream", "/a/b": "websocket"},
    )
    order = re.findall(r"^\t\thandle(?:_path)? (.*) \{", files(rec)[SITE], re.MULTILINE)
    assert order == ["/a/b/c/*", "@a_b", "/a/*", "@root"]


@pytest.mark.parametrize("version", [OLD, None])
def test_what_an_older_caddy_lacks_is_left_out_and_said(version: str | None) -> None:
    pins = {
        "caddy.stream_close_delay": 300,
        "caddy.stream_timeout": 3600,
        "caddy.request_buffers": 5000,
        "caddy.response_buffers": 5000,
        "caddy.tls_curves": ["x25519mlkem768", "x25519"],
    }
    text = files(advise(version, pins=pins, routes={"/ws": "websocket"}, **TLS))[SITE]
    shown = version or "not known"
    for name, first in (
        ("stream_close_delay", "2.7"),
        ("stream_timeout", "2.7"),
        ("request_buffers", "2.6.4"),
        ("response_buffers", "2.6.4"),
    ):
        assert (
            f"# {name} is left out: it needs Caddy {first}; the target's version is {shown}" in text
        )
        assert name not in without_comments(text)
    assert "\t\tcurves x25519\n" in text
    curve = "# The curve x25519mlkem768 is left out: it needs Caddy 2.10; the target's version is"
    assert f"{curve} {shown}." in text


def test_unpinned_the_rules_own_reason_stands_there() -> None:
    text = files(advise(OLD, pins={"gunicorn.worker_class": "sync"}, **EVERYTHING))[SITE]
    assert "# request_buffers is left out. Caddy buffers within a bound from 2.6.4 on" in text
    assert "# stream_close_delay is left out. It needs Caddy 2.7" in text


def test_http_3_is_off_where_caddy_would_have_it() -> None:
    for version in (OLD, NEW):
        assert "\t\tprotocols h1 h2\n" in files(advise(version))[HOST]
    unknown = files(advise(None))[HOST]
    assert "protocols h1" not in unknown
    assert "# protocols is left out: it needs Caddy 2.6" in unknown


def test_modules_that_are_not_there_are_said_and_how_to_get_them() -> None:
    text = files(advise(NEW, **EVERYTHING))[SITE]
    flat = re.sub(r"\n\s*# ", " ", text)
    for name, where in (
        ("rate_limit", "github.com/mholt/caddy-ratelimit"),
        ("cache", "github.com/caddyserver/cache-handler"),
    ):
        assert re.search(rf"{name} is left out\. .*xcaddy build --with {where}", flat)
        assert f"{name} {{" not in without_comments(text)


def test_pinned_without_their_modules_they_are_left_out_too() -> None:
    pins = {"caddy.rate_limit_window": 2, "caddy.rate_limit_events": 9}
    pins |= {"caddy.microcache_ttl": ["/a 1s"]}
    text = files(advise(NEW, pins=pins, **EVERYTHING))[SITE]
    for name in ("rate_limit", "cache"):
        assert f"# {name} is left out: this Caddy is not known to have the module" in text
        assert f"{name} {{" not in without_comments(text)


def test_with_them_clients_are_counted_and_answers_kept() -> None:
    text = files(advise(NEW, modules=MODULES, **EVERYTHING))[SITE]
    assert "\t\t\tzone shop_app {\n\t\t\t\tkey {remote_host}\n" in text
    cached = text[text.index("@api_search {") :]
    assert "\t\tpath /api/search /api/search/*\n" in cached
    assert "\t\tnot header Cookie *\n\t\tnot header Authorization *\n" in cached
    assert "\t\t\t\tcache {\n\t\t\t\t\tttl 1s\n" in without_comments(cached)


def test_streams_have_no_buffers_and_the_rest_no_delay() -> None:
    pins = {"gunicorn.worker_class": "sync"}
    text = files(advise(NEW, pins=pins, **EVERYTHING))[SITE]
    streams, _, rest = text.partition("\t\thandle {\n")
    assert streams.count("stream_close_delay") == 2
    assert "response_buffers" not in without_comments(streams)
    assert "response_buffers" in rest
    assert "stream_close_delay" not in rest
    assert "@packed not path /events /events/* /ws /ws/*" in text


@pytest.mark.parametrize(("version", "line"), [(NEW, "\tmetrics\n"), (OLD, "\t\tmetrics\n")])
def test_metrics_are_on_where_monitoring_is_ours(version: str, line: str) -> None:
    assert line not in files(advise(version))[HOST]
    assert line in files(advise(version, manage=["proxy", "monitoring"]))[HOST]


def test_a_default_server_on_request() -> None:
    assert "abort" not in files(advise(NEW))[HOST]
    assert (
        "\nhttp:// {\n\tabort\n}\n" in files(advise(NEW, manage=["proxy", "default-server"]))[HOST]
    )


def test_apps_beside_each_other_share_no_name() -> None:
    texts = [
        files(advise(NEW, app={"name": name, "module": "m:app", "interface": "asgi"}, **DOMAIN))
        for name in ("shop", "shop-two")
    ]
    named = [
        set(re.findall(r"^\((.*)\) \{|output file (.*)", text, re.MULTILINE))
        for found in texts
        for path, text in found.items()
        if path.endswith(".caddy")
    ]
    assert not named[0] & named[1]
    hosts = [without_comments(found[HOST]) for found in texts]
    assert hosts[0] == hosts[1]


def test_another_host_is_one_more_line() -> None:
    hosts = HOSTS["hosts"]
    before = without_comments(files(advise(NEW, **HOSTS))[BALANCER]).splitlines()
    after = files(advise(NEW, **(HOSTS | {"hosts": [*hosts, "10.0.0.14:8000"]})))[BALANCER]
    assert set(without_comments(after).splitlines()) - set(before) == {"\tto 10.0.0.14:8000"}


@pytest.mark.parametrize(
    "text", ["", "a\nb", "{$HOME}", "{", "a;b", '"', "`", "\\", "#", "@x", "<<X", "(x)", "é", "&x"]
)
def test_the_filter_refuses_what_is_more_than_an_argument(text: str) -> None:
    with pytest.raises(InvalidInput, match="Caddy"):
        caddy(text)


def test_a_reason_cannot_name_the_environment() -> None:
    assert "{$" not in caddy_comment("{$HOME} {{$$X}")


def test_a_wildcards_certificate_is_warned_of() -> None:
    text = files(advise(NEW, domain="*.shop.example", tls={"acme": True}))[SITE]
    assert "DNS challenge" in text
