"""nginx's files: every setting with its reason, in the right role, beside other apps."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import render
from advisor.render.kit.nginx import NGINX, NGINX_BALANCER
from advisor.render.kit.nginx_listen import LONGEST_NAME, variables
from advisor.render.quoting import comment
from advisor.render.rendering import not_rendered
from advisor.rules import RULES
from tests.render.kit.nginx_sites import (
    BEHIND,
    HOSTS,
    NEW,
    RICH,
    TLS,
    advise,
    locations,
    site,
    texts,
    tree,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

PROXY = {"manage": ["proxy"]}
BALANCER = "load_balancer/shop.conf"
names = st.from_regex(r"\A[a-z][a-z0-9]{0,3}([-_][a-z0-9]{1,3}){0,5}\Z").filter(
    lambda name: len(name) <= 32
)


def test_every_setting_of_nginxs_is_of_this_component() -> None:
    known = {
        id_ for id_, rule in RULES.items() if id_.startswith("nginx.") and rule.applied_by == "file"
    }
    assert set(NGINX.settings) == known == set(NGINX_BALANCER.settings)
    assert len(NGINX.settings) == len(known)


@pytest.mark.parametrize(
    "keys",
    [
        RICH | TLS,
        RICH | TLS | HOSTS,
        RICH | TLS | BEHIND,
        RICH | TLS | {"pins": {"nginx.http3": True, "nginx.proxy_buffers": [16, 16384]}},
    ],
    ids=["edge", "balanced", "behind", "pinned"],
)
def test_every_value_that_is_not_nginxs_own_stands_in_a_file_with_its_reason(
    keys: dict[str, Any],
) -> None:
    rec = advise(NEW, **keys)
    assert not [id_ for id_ in not_rendered(rec) if id_.startswith("nginx.")]
    # A long reason goes on in the next line's comment.
    written = re.sub(r"\n *# ", " ", "\n".join(texts(rec).values()))
    untold = [
        setting.id
        for setting in rec.settings
        if setting.id.startswith("nginx.")
        and setting.value not in (None, RULES[setting.id].default)
        and comment(setting.why) not in written
    ]
    assert untold == []


def test_alone_it_is_the_edge() -> None:
    rec = advise(**RICH)
    assert set(texts(rec)) == {"nginx/shop.conf"}
    assert words(site(rec), "listen") == ["80", "[::]:80"]
    (upstream,) = tree(texts(rec)["nginx/shop.conf"]).all("upstream")
    assert words(upstream, "server") == ["unix:/run/shop/shop.sock"]
    assert not upstream.all("least_conn")


def test_with_hosts_the_balancer_is_the_edge_and_the_hosts_are_behind_it() -> None:
    rec = advise(**RICH, **TLS, **HOSTS, **BEHIND)
    assert set(texts(rec)) == {"nginx/shop.conf", BALANCER}
    host, balancer = site(rec), site(rec, BALANCER)
    assert words(host, "listen") == ["80", "[::]:80", "8080", "[::]:8080"]
    assert words(balancer, "listen") == ["443 ssl http2", "[::]:443 ssl http2"]
    for edge in ("ssl_certificate", "add_header", "gzip", "limit_req_status"):
        assert balancer.all(edge), edge
        assert not host.all(edge), edge
    assert set(locations(host)) >= {"/static/", "/media/"}
    assert not set(locations(balancer)) & {"/static/", "/media/"}
    assert "= /api/search" in locations(balancer)
    assert "= /api/search" not in locations(host)
    assert words(host, "set_real_ip_from") == ["10.0.0.0/8", "fd00::/8"]
    assert words(host, "real_ip_header") == ["X-Forwarded-For"]
    assert not balancer.all("set_real_ip_from")


def test_the_balancers_upstream_is_in_the_order_that_nginx_wants() -> None:
    (upstream,) = tree(texts(advise(**HOSTS))[BALANCER]).all("upstream")
    order = [node.name for node in upstream.block]
    assert order.index("least_conn") < order.index("keepalive")
    assert words(upstream, "server") == [
        f"{host} max_fails=3 fail_timeout=10s" for host in HOSTS["hosts"]
    ]
    assert upstream.all("zone")[0].args[0] == "shop_app"
    server = site(advise(**HOSTS), BALANCER)
    assert words(server, "proxy_next_upstream") == ["error timeout"]
    assert words(server, "proxy_next_upstream_tries") == ["2"]
    assert not site(advise()).all("proxy_next_upstream")


def test_several_sockets_of_one_host_need_no_balancer() -> None:
    sockets = ["unix:/run/shop-1/shop-1.sock", "unix:/run/shop-2/shop-2.sock"]
    rec = advise(hosts=sockets, static={"/static/": "/srv/static"})
    assert set(texts(rec)) == {"nginx/shop.conf"}
    (upstream,) = tree(texts(rec)["nginx/shop.conf"]).all("upstream")
    assert words(upstream, "server") == [f"{one} max_fails=3 fail_timeout=10s" for one in sockets]
    assert upstream.all("least_conn")
    assert words(site(rec), "proxy_next_upstream") == ["error timeout"]
    assert "/static/" in locations(site(rec))


def test_a_host_beside_a_socket_is_refused() -> None:
    mixed = advise(hosts=["unix:/run/a/a.sock", "10.0.0.11:80"])
    with pytest.raises(InvalidInput, match=r"hosts: unix:/run/a/a\.sock is a socket of this host"):
        render(mixed)


def test_an_app_that_the_balancer_reaches_itself_has_no_nginx_before_it() -> None:
    direct = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"], "listen": "0.0.0.0:8000"}
    rec = advise(**direct, static={"/static/": "/srv/static"})
    assert set(texts(rec)) == {BALANCER}
    assert "static files are the app's to serve" in texts(rec)[BALANCER]
    assert set(texts(advise(**direct | {"listen": "127.0.0.1:8000"}))) == {
        "nginx/shop.conf",
        BALANCER,
    }


def test_a_host_that_believes_nobody_says_what_that_means() -> None:
    assert "takes the load balancer for its client" in texts(advise(**HOSTS))["nginx/shop.conf"]
    believed = texts(advise(**HOSTS, **BEHIND))["nginx/shop.conf"]
    assert "takes the load balancer for its client" not in believed


def test_only_the_trusted_say_who_the_client_is_and_by_which_scheme_it_came() -> None:
    server = site(advise(**BEHIND))
    assert words(server, "set_real_ip_from") == ["10.0.0.0/8", "fd00::/8"]
    assert words(server, "real_ip_recursive") == ["on"]
    sent = dict(node.args for node in server.all("proxy_set_header"))
    assert sent["X-Forwarded-For"] == "$remote_addr"
    assert sent["X-Forwarded-Proto"] == "$shop_scheme"
    assert sent["X-Forwarded-Port"] == ""
    (trusted,) = tree(texts(advise(**BEHIND))["nginx/shop.conf"]).all("geo")
    assert trusted.args == ("$realip_remote_addr", "$shop_trusted")
    assert [(node.name, *node.args) for node in trusted.block] == [
        ("default", "0"),
        ("10.0.0.0/8", "1"),
        ("fd00::/8", "1"),
    ]
    alone = dict(node.args for node in site(advise()).all("proxy_set_header"))
    assert alone["X-Forwarded-Proto"] == "$scheme"


def test_the_proxy_protocol_tells_the_client_and_not_the_scheme() -> None:
    pins = BEHIND["pins"] | {"nginx.real_ip_header": "proxy_protocol"}
    rec = advise(pins=pins)
    server = site(rec)
    assert words(server, "listen") == ["80 proxy_protocol", "[::]:80 proxy_protocol"]
    sent = dict(node.args for node in server.all("proxy_set_header"))
    assert sent["X-Forwarded-Proto"] == "$scheme"
    assert not tree(texts(rec)["nginx/shop.conf"]).all("geo")


def test_a_nginx_without_the_module_believes_nobody() -> None:
    old = {"nginx": NEW["nginx"].model_copy(update={"modules": ["http_ssl", "http_stub_status"]})}
    text = texts(advise(old, **BEHIND))["nginx/shop.conf"]
    assert "# nginx.set_real_ip_from is left out: the target's nginx is built without" in text
    assert not tree(text).all("geo")


def test_every_location_overwrites_what_a_client_says_of_itself() -> None:
    server = site(advise(**RICH))
    usual = {node.args[0]: node.args[1] for node in server.all("proxy_set_header")}
    for match, location in locations(server).items():
        own = {node.args[0]: node.args[1] for node in location.all("proxy_set_header")}
        if own:
            assert match in {"= /ws", "/ws/"}
            assert own.pop("Upgrade") == "$shop_upgrade"
            assert own.pop("Connection") == "$shop_connect"
            assert own == {name: value for name, value in usual.items() if name != "Connection"}


def test_only_upgrades_to_a_websocket_are_passed_on() -> None:
    maps = {node.args: node for node in tree(texts(advise(**RICH))["nginx/shop.conf"]).all("map")}
    upgrade = maps["$http_upgrade", "$shop_upgrade"]
    assert [(node.name, *node.args) for node in upgrade.block] == [
        ("default", ""),
        ("websocket", "websocket"),
    ]
    connect = maps["$shop_upgrade", "$shop_connect"]
    assert [(node.name, *node.args) for node in connect.block] == [("default", "upgrade"), ("", "")]


def test_a_sync_app_closes_on_its_websocket_routes_too() -> None:
    rec = advise(routes={"/ws": "websocket"}, pins={"nginx.upstream_keepalive": None})
    maps = {node.args: node for node in tree(texts(rec)["nginx/shop.conf"]).all("map")}
    connect = maps["$shop_upgrade", "$shop_connect"]
    assert ("", "close") in [(node.name, *node.args) for node in connect.block]


def test_headers_are_added_only_where_the_app_sends_none() -> None:
    rec = advise(**TLS)
    added = {node.args[0]: node.args[1:] for node in site(rec).all("add_header")}
    assert added == {
        "X-Content-Type-Options": ("$shop_nosniff", "always"),
        "Referrer-Policy": ("$shop_referer", "always"),
        "Strict-Transport-Security": ("$shop_hsts", "always"),
    }
    assert "Strict-Transport-Security" not in texts(advise())["nginx/shop.conf"]
    for node in tree(texts(rec)["nginx/shop.conf"]).all("map"):
        assert node.args[0].startswith("$upstream_http_")
        assert [entry.name for entry in node.block] == ["default", ""]


@pytest.mark.parametrize(("version", "merges"), [("1.26.3", False), ("1.29.3", True)])
def test_headers_are_said_again_where_nginx_cannot_merge_them(version: str, merges: bool) -> None:
    nginx = NEW["nginx"].model_copy(update={"version": version})
    rec = advise({"nginx": nginx}, routes={"/events": "stream"}, **TLS, **BEHIND)
    stream = locations(site(rec))["= /events"]
    own = {node.args[0] for node in stream.all("add_header")}
    assert "X-Accel-Buffering" in own
    assert (words(stream, "add_header_inherit") == ["merge"]) is merges
    assert ("X-Content-Type-Options" in own) is not merges
    text = texts(rec)["nginx/shop.conf"]
    assert ("`add_header_inherit merge` needs nginx 1.29.3" in text) is not merges


def test_modules_for_compression_are_used_where_they_are() -> None:
    there = NEW["nginx"].model_copy(update={"modules": ["http_brotli_filter", "zstd"]})
    server = site(advise({"nginx": there}))
    assert words(server, "brotli") == words(server, "zstd") == ["on"]
    assert server.all("brotli_types")[0].args == server.all("gzip_types")[0].args
    absent = advise(pins={"nginx.brotli": True})
    assert not site(absent).all("brotli")
    assert "# nginx.brotli is left out: its module is not known" in "".join(texts(absent).values())


def test_html_is_packed_anyway_and_not_named_again() -> None:
    rec = advise(pins={"nginx.gzip_types": ["text/html", "text/css"]})
    assert words(site(rec), "gzip_types") == ["text/css"]
    alone = advise(pins={"nginx.gzip_types": ["text/html"]})
    assert not site(alone).all("gzip_types")


def test_limits_are_the_edges_and_count_no_static_files() -> None:
    server = site(advise(**RICH))
    for match, location in locations(server).items():
        counted = bool(location.all("limit_req")) and bool(location.all("limit_conn"))
        assert counted is (match not in {"/static/", "/media/"}), match
    assert words(server, "limit_req_status") == words(server, "limit_conn_status") == ["429"]
    assert words(locations(server)["/"], "limit_req") == ["zone=shop_rate burst=40 nodelay"]


def test_the_cache_keeps_nothing_of_anybodys_and_knows_the_clients_scheme() -> None:
    server = site(advise(**RICH))
    assert words(server, "proxy_cache_bypass") == ["$http_cookie $http_authorization"]
    assert words(server, "proxy_no_cache") == ["$http_cookie $http_authorization"]
    assert words(server, "proxy_cache_key") == ["$scheme$host$request_uri"]
    assert words(site(advise(**RICH, **BEHIND)), "proxy_cache_key") == [
        "$shop_scheme$host$request_uri"
    ]
    cached = locations(server)["= /api/search"]
    assert words(cached, "proxy_cache_valid") == ["200 1s"]
    assert words(locations(server)["/news/"], "proxy_cache_valid") == ["200 5s"]
    assert not cached.all("proxy_buffering")
    forced = advise(**RICH, pins={"nginx.proxy_buffering": False})
    assert words(locations(site(forced))["= /api/search"], "proxy_buffering") == ["on"]


def test_counters_are_on_loopback_and_a_log_is_json() -> None:
    server = next(
        node
        for node in tree(texts(advise())["nginx/shop.conf"]).all("server")
        if any(inner.name == "stub_status" for inner in node.everywhere())
    )
    assert words(server, "listen") == ["127.0.0.1:8099"]
    assert words(server, "server_name") == ["status.shop.localhost"]
    (status,) = (node for node in server.all("location") if node.args == ("=", "/stub_status"))
    assert [(node.name, *node.args) for node in status.block] == [
        ("allow", "127.0.0.1"),
        ("deny", "all"),
        ("stub_status",),
    ]
    assert site(advise()).all("access_log")[0].args[:2] == (
        "/var/log/nginx/shop.access.json.log",
        "shop_json",
    )


def test_a_nginx_without_counters_has_none() -> None:
    without = {"nginx": NEW["nginx"].model_copy(update={"modules": ["http_ssl"]})}
    text = texts(advise(without))["nginx/shop.conf"]
    assert "stub_status" not in [node.name for node in tree(text).everywhere()]
    assert "# The page of counters is left out" in text


@given(one=names, other=names)
def test_two_apps_never_share_a_variable(one: str, other: str) -> None:
    assert (variables(one) == variables(other)) is (one == other)


@given(name=st.from_regex(r"\A[a-z][a-z0-9]*([-_][a-z0-9]+)*\Z").map(lambda name: name[:32]))
def test_a_variables_name_fits_nginxs_hash(name: str) -> None:
    assert len(f"{variables(name.rstrip('-_'))}_trusted") <= LONGEST_NAME


def test_what_a_long_domain_needs_of_the_host_is_said() -> None:
    long = "a" * 50 + ".shop.example"
    assert "server_names_hash_bucket_size 128;" in texts(advise(domain=long))["nginx/shop.conf"]
    assert "server_names_hash_bucket_size" not in texts(advise())["nginx/shop.conf"]


def test_an_unknown_version_takes_the_careful_side_and_says_so() -> None:
    rec = advise(**RICH, **TLS)
    unknown = rec.model_copy(update={"components": {}})
    text = texts(unknown)["nginx/shop.conf"]
    for gone in ("keepalive_timeout", "keepalive_requests", "proxy_cache_background_update"):
        assert f"# {gone} is left out: " in text
    assert words(site(unknown), "listen") == ["443 ssl http2", "[::]:443 ssl http2"]
    assert "the target's version is not known" in text


def test_a_small_change_is_a_small_difference() -> None:
    routes = {"/ws": "websocket", "/events": "stream"}
    before = texts(advise(routes={"/ws": "websocket"}))["nginx/shop.conf"].splitlines()
    after = texts(advise(routes=routes))["nginx/shop.conf"].splitlines()
    gone = [line for line in difflib.ndiff(before, after) if line.startswith("- ")]
    assert all("inputs" in line or "return 200" in line for line in gone), gone
    assert len(gone) == 2


def test_settings_without_which_nginx_has_no_zone_are_asked_for(make: Make) -> None:
    cached = {"nginx.microcache_valid": ["/a 1s"]}
    with pytest.raises(InvalidInput, match=r"nginx\.microcache_zone_size has no value"):
        texts(make(settings=cached, intent=PROXY))
    with pytest.raises(InvalidInput, match=r"nginx\.limit_req_zone_size has no value"):
        texts(make(settings={"nginx.limit_req_rate": "5r/s"}, intent=PROXY))
