from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

import pytest

from advisor.errors import InvalidInput
from advisor.render import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

CONF = "gunicorn/gunicorn.conf.py"
NGINX = "nginx/shop.conf"
SERVICE = "systemd/shop.service"
SOCKET = "systemd/shop.socket"


def texts(rec: Recommendation) -> dict[str, str]:
    return {file.path: file.content.decode() for file in render(rec)}


def constants(conf: str) -> dict[str, Any]:
    tree = ast.parse(conf)
    assert all(isinstance(node, ast.Assign) for node in tree.body)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_gunicorn_conf_holds_the_settings_as_typed_constants(make: Make) -> None:
    conf = constants(texts(make())[CONF])
    assert conf["workers"] == 2
    assert conf["worker_class"] == "uvicorn_worker.UvicornWorker"
    assert conf["control_socket_disable"] is True
    assert conf["wsgi_app"] == "shop.main:app"
    assert "bind" not in conf


def test_a_null_or_absent_setting_is_not_rendered(make: Make) -> None:
    rec = make(settings={"gunicorn.keepalive": None, "nginx.proxy_read_timeout": "absent"})
    rendered = texts(rec)
    assert "keepalive" not in constants(rendered[CONF])
    assert "proxy_read_timeout" not in rendered[NGINX]


def test_each_setting_carries_its_reason(make: Make) -> None:
    rec = make(why={"gunicorn.workers": "because of W", "nginx.upstream_keepalive": "because of K"})
    rendered = texts(rec)
    assert "# because of W\nworkers = 2\n" in rendered[CONF]
    assert "    # because of K\n    keepalive 64;\n" in rendered[NGINX]


def test_zero_and_false_are_values(make: Make) -> None:
    rec = make(settings={"gunicorn.max_requests": 0, "nginx.proxy_buffering": False})
    rendered = texts(rec)
    assert constants(rendered[CONF])["max_requests"] == 0
    assert "proxy_buffering off;" in lines(rendered[NGINX])


@pytest.mark.parametrize(
    ("manage", "proxy", "folders"),
    [
        (None, "nginx", {"gunicorn", "environment", "nginx", "systemd"}),
        (["server"], "nginx", {"gunicorn", "environment"}),
        (["proxy"], "nginx", {"nginx"}),
        (["systemd"], "nginx", {"systemd"}),
        (["server", "proxy", "systemd"], "none", {"gunicorn", "environment", "systemd"}),
    ],
)
def test_only_what_is_managed_is_rendered(
    make: Make, manage: list[str] | None, proxy: str, folders: set[str]
) -> None:
    rendered = texts(make(intent={"manage": manage, "proxy": proxy}))
    assert {path.partition("/")[0] for path in rendered} == folders | {".advisor"}


def test_a_unit_without_our_server_file_starts_the_module(make: Make) -> None:
    rendered = texts(make(intent={"manage": ["systemd"]}))
    assert "ExecStart=/srv/shop/venv/bin/gunicorn shop.main:app" in lines(rendered[SERVICE])


@pytest.mark.parametrize(
    ("version", "has"), [("27.0.1", True), ("25.1", True), ("25.0.3", False), ("absent", False)]
)
def test_the_control_socket_is_gated_by_gunicorns_version(
    make: Make, version: str, has: bool
) -> None:
    conf = texts(make(components={"gunicorn": version}))[CONF]
    assert ("control_socket_disable" in constants(conf)) is has
    assert ("# control_socket_disable is left out: it needs Gunicorn 25.1" in conf) is not has


@pytest.mark.parametrize(("version", "has"), [("1.22.1", True), ("1.14.2", False)])
def test_upstream_idle_time_is_gated_by_nginxs_version(make: Make, version: str, has: bool) -> None:
    site = texts(make(components={"nginx": version}))[NGINX]
    assert ("keepalive_timeout 60s;" in lines(site)) is has


def test_a_patch_of_a_component_changes_nothing(make: Make) -> None:
    before = texts(make())
    after = texts(make(components={"nginx": "1.22.9", "python": "3.11.99"}))
    assert {path for path in before if before[path] != after[path]} == {
        ".advisor/recommendation.yml"
    }


@pytest.mark.parametrize(
    ("listen", "stream", "upstream", "bound"),
    [
        ("unix", "/run/shop/shop.sock", "unix:/run/shop/shop.sock", "unix:/run/shop/shop.sock"),
        (None, "/run/shop/shop.sock", "unix:/run/shop/shop.sock", "unix:/run/shop/shop.sock"),
        ("127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1:8000"),
        ("[::1]:8000", "[::1]:8000", "[::1]:8000", "[::1]:8000"),
        ("0.0.0.0:8000", "0.0.0.0:8000", "127.0.0.1:8000", "0.0.0.0:8000"),
        ("[::]:8000", "[::]:8000", "[::1]:8000", "[::]:8000"),
    ],
)
def test_socket_proxy_and_server_agree_on_where(
    make: Make, listen: str | None, stream: str, upstream: str, bound: str
) -> None:
    rendered = texts(make(intent={"listen": listen}))
    assert f"ListenStream={stream}" in lines(rendered[SOCKET])
    assert f"server {upstream};" in lines(rendered[NGINX])
    assert bound in rendered[CONF]


@pytest.mark.parametrize(
    ("worker_class", "intent", "trusted"),
    [
        ("uvicorn_worker.UvicornWorker", {}, "*"),
        ("gthread", {}, None),
        ("asgi", {}, None),
        ("uvicorn_worker.UvicornWorker", {"listen": "127.0.0.1:8000"}, "127.0.0.1,::1"),
        ("gthread", {"listen": "10.0.0.5:8000"}, "127.0.0.1,::1,10.0.0.5"),
        ("uvicorn_worker.UvicornWorker", {"proxy": "none"}, None),
        # Whoever starts it may bind to a port: then * would believe anybody.
        ("uvicorn_worker.UvicornWorker", {"manage": ["server", "proxy"]}, None),
    ],
)
def test_only_the_local_proxy_is_believed(
    make: Make, worker_class: str, intent: dict[str, Any], trusted: str | None
) -> None:
    rec = make(intent=intent, settings={"gunicorn.worker_class": worker_class})
    assert constants(texts(rec)[CONF]).get("forwarded_allow_ips") == trusted


def test_only_nginxs_group_opens_the_unix_socket(make: Make) -> None:
    socket = lines(texts(make())[SOCKET])
    assert {"SocketGroup=www-data", "SocketMode=0660"} <= set(socket)
    alone = lines(texts(make(intent={"proxy": "none"}))[SOCKET])
    assert {"SocketUser=shop", "SocketMode=0660"} <= set(alone)
    tcp = texts(make(intent={"listen": "127.0.0.1:8000"}))[SOCKET]
    assert "SocketMode" not in tcp


def test_without_a_domain_nginx_listens_on_loopback_only(make: Make) -> None:
    site = lines(texts(make(intent={"domain": None}))[NGINX])
    assert [line for line in site if line.startswith("listen ")] == [
        "listen 127.0.0.1:8080;",
        "listen 127.0.0.1:8099;",  # its counters
    ]
    assert "server_name localhost;" in site
    assert "proxy_set_header Host $host:$server_port;" in site


def test_with_a_domain_nginx_listens_on_both_families_and_is_no_catch_all(make: Make) -> None:
    site = texts(make())[NGINX]
    assert {"listen 80;", "listen [::]:80;", "server_name shop.example;"} <= set(lines(site))
    assert "default_server" not in site


def test_without_upstream_keepalive_the_connection_is_closed(make: Make) -> None:
    kept = lines(texts(make())[NGINX])
    assert 'proxy_set_header Connection "";' in kept
    closed = lines(texts(make(settings={"nginx.upstream_keepalive": None}))[NGINX])
    assert "proxy_set_header Connection close;" in closed
    assert not [line for line in closed if line.startswith("keepalive ")]


def test_a_static_path_and_its_folder_both_end_in_a_slash(make: Make) -> None:
    site = texts(make(intent={"static": {"/a": "/srv/a", "/b/": "/srv/b", "/c": "/srv/c/"}}))[NGINX]
    pairs = re.findall(r"location (\S+) \{\s+alias (\S+);", site)
    assert pairs == [("/a/", "/srv/a/"), ("/b/", "/srv/b/"), ("/c/", "/srv/c/")]


def test_the_intents_body_limit_counts_where_no_setting_has_one(make: Make) -> None:
    absent = {"nginx.client_max_body_size": None}
    site = texts(make(intent={"limits.request_body": 2097152}, settings=absent))[NGINX]
    assert "client_max_body_size 2097152;" in lines(site)
    unlimited = texts(make(intent={"limits.request_body": None}, settings=absent))[NGINX]
    assert "client_max_body_size" not in unlimited


def test_the_sandbox_opens_only_for_where_the_app_lives(make: Make) -> None:
    usual = lines(texts(make())[SERVICE])
    assert {"ProtectHome=yes", "PrivateTmp=yes", "ReadWritePaths=/srv/shop/uploads"} <= set(usual)
    home = lines(texts(make(intent={"app.virtualenv": "/home/ann/venv"}))[SERVICE])
    assert "ProtectHome=read-only" in home
    assert "ProtectHome=yes" not in home
    tmp = lines(texts(make(intent={"app.directory": "/tmp/try"}))[SERVICE])
    assert "PrivateTmp=yes" not in tmp
    neighbour = lines(texts(make(intent={"app.directory": "/homely/shop"}))[SERVICE])
    assert "ProtectHome=yes" in neighbour


def test_units_of_an_app_that_says_little(make: Make) -> None:
    nothing = ("directory", "virtualenv", "user", "environment", "environment_file", "writable")
    service = lines(texts(make(intent={f"app.{key}": None for key in nothing}))[SERVICE])
    assert "User=shop" in service
    assert [line for line in service if line.startswith("ExecStart=gunicorn -c /etc/advisor/")]
    said = [line for line in service if line.startswith(("WorkingDirectory", "Environment"))]
    assert said == ["EnvironmentFile=-/etc/advisor/current/shop/environment/app.env"]


def test_every_error_is_told_at_once(make: Make) -> None:
    rec = make(intent={"domain": "a b", "app.user": "Root;"}, settings={"gunicorn.workers": "many"})
    with pytest.raises(InvalidInput) as refused:
        render(rec)
    assert "domain" in refused.value.message
    assert "app.user" in refused.value.message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"gunicorn.workers": "2"}, "gunicorn.workers"),
        ({"gunicorn.workers": True}, "gunicorn.workers"),
        ({"gunicorn.workers": 0}, "gunicorn.workers"),
        ({"gunicorn.timeout": -1}, "gunicorn.timeout"),
        ({"gunicorn.worker_class": "a:b"}, "gunicorn.worker_class"),
        ({"gunicorn.worker_class": "é.B"}, "gunicorn.worker_class"),
        ({"nginx.proxy_buffering": "on"}, "nginx.proxy_buffering"),
        ({"systemd.memory_max": 1.5}, "systemd.memory_max"),
    ],
)
def test_a_setting_of_the_wrong_type_is_named(
    make: Make, settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(named)):
        render(make(settings=settings))


@pytest.mark.parametrize(
    ("intent", "named"),
    [
        ({"server": "apache"}, "server"),
        ({"proxy": "haproxy"}, "proxy"),
        ({"tls": {"acme": True, "key": "/k"}}, "tls"),
        ({"manage": ["kernel"]}, "manage"),
        ({"app.module": "other:app"}, "app.module"),
        ({"app.directory": "/srv/../etc"}, "app.directory"),
        ({"app.writable": ["/srv/./x"]}, "app.writable"),
        ({"static": {"/": "/srv/x"}}, "static"),
        ({"static": {"/a": "/srv/x", "/a/": "/srv/y"}}, "static"),
        ({"app.environment": {"A": "x y"}}, "app.environment"),
        ({"app.environment": {"A B": "x"}}, "app.environment"),
    ],
)
def test_an_intent_that_cannot_be_rendered_is_named(
    make: Make, intent: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidInput, match=re.escape(named)):
        render(make(intent=intent))


def test_a_setting_given_twice_is_refused(make: Make) -> None:
    rec = make()
    twice = rec.model_copy(update={"settings": [*rec.settings, rec.settings[0]]})
    with pytest.raises(InvalidInput, match=r"gunicorn\.workers is there twice"):
        render(twice)


def test_settings_that_only_code_applies_are_not_ours(make: Make) -> None:
    rec = make()
    code = rec.settings[0].model_copy(
        update={"id": "browser.cache_control", "value": None, "applied_by": "code"}
    )
    with_code = rec.model_copy(update={"settings": [*rec.settings, code]})
    files = {file.path: file.content for file in render(with_code)}
    for file in render(rec):
        if file.output is not None:
            assert files[file.path] == file.content
