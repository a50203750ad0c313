from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host.proxies import caddy, caddy_site, program
from advisor.host.proxies.nginx_listen import Place
from advisor.host.proxies.site import AccessLog, Site

if TYPE_CHECKING:
    from collections.abc import Callable

CADDYFILE = """\
{{
	admin off
	auto_https off
}}
http://shop.example:{port} {{
	handle_path /api/* {{
		respond api
	}}
	handle /exact {{
		respond exact
	}}
	@image path *.png
	handle @image {{
		respond image
	}}
	@middle path /a/*/c
	handle @middle {{
		respond middle
	}}
	@pattern path_regexp ^/n/[0-9]+$
	handle @pattern {{
		respond pattern
	}}
	@others not path /x/*
	handle @others {{
		respond others
	}}
	handle {{
		respond rest
	}}
}}
http://*.wild.example:{port} {{
	route {{
		uri strip_prefix /v1
		respond /inside stripped
		respond wild
	}}
}}
http://:{port} {{
	respond any
}}
"""
PATHS = [
    *("/", "/api/x", "/api", "/API/x", "/exact", "/exact/", "/x.png", "/a/b/c", "/a/b/b/c"),
    *("/n/42", "/n/42x", "/x/y", "/v1/inside", "/inside", "/v1"),
]
HOSTS = ["shop.example", "SHOP.EXAMPLE", "a.wild.example", "a.b.wild.example", "other"]


@pytest.mark.daemon
def test_the_handler_is_the_one_that_caddy_takes(
    free_port: Callable[..., int], proxies: Any
) -> None:
    port = free_port()
    text = CADDYFILE.format(port=port)
    proxies.caddy(text, port)
    path = proxies.folder / "Caddyfile"
    _, out, _ = program.answer(proxies.program("caddy"), "adapt", "--config", str(path))
    config = caddy.parse(out)
    server = caddy_site._server(config, Place("127.0.0.1", port))
    assert server is not None
    for host in HOSTS:
        for target in PATHS:
            headers = {"Host": f"{host}:{port}"}
            answer = httpx.get(
                f"http://127.0.0.1:{port}{target}", headers=headers, trust_env=False
            ).text
            request = caddy_site.Request(host.lower(), target)
            handler = caddy_site._handler(server["routes"], request)
            assert (handler or {}).get("body") == answer, (host, target)
            assert not request.unsure


def site(
    routes: list[Any], path: str = "/", *, listen: str = ":80", logging: Any = None, **server: Any
) -> tuple[Site | None, list[str]]:
    one = {"listen": [listen], "routes": routes, **server}
    config = {"apps": {"http": {"servers": {"srv0": one}}}, "logging": {"logs": logging or {}}}
    at = Place("127.0.0.1", 80)
    return caddy_site.site(config, at, "shop.example", path, folder="/srv", root=Path("/"))


def proxy(*dials: str) -> dict[str, Any]:
    return {"handler": "reverse_proxy", "upstreams": [{"dial": dial} for dial in dials]}


@pytest.mark.parametrize(
    ("dial", "expected"),
    [
        ("127.0.0.1:8000", ("127.0.0.1:8000",)),
        ("localhost:8000", ("127.0.0.1:8000",)),
        (":8000", ("localhost:8000",)),
        ("[::1]:8000", ("[::1]:8000",)),
        ("tcp/app:80", ("app:80",)),
        ("unix//run/s", ("unix:/run/s",)),
        ("{env.APP}:80", ()),
        ("srv.example", ()),
    ],
)
def test_upstreams(dial: str, expected: tuple[str, ...]) -> None:
    found, unsure = site([{"handle": [{"handler": "encode"}, proxy(dial)]}])
    assert found is not None
    assert (found.upstreams, bool(unsure)) == (expected, not expected)


def test_a_route_that_cannot_be_told_is_said() -> None:
    matched = {"match": [{"header": {"X": ["1"]}}], "handle": [proxy("127.0.0.1:1")]}
    found, unsure = site([matched, {"handle": [proxy("127.0.0.1:2")]}])
    assert found is not None
    assert found.upstreams == ("127.0.0.1:2",)
    assert "chosen by header" in unsure[0]


def test_a_rewritten_path_is_what_later_routes_see() -> None:
    rewrite = {"handle": [{"handler": "rewrite", "uri": "/app?x=1"}]}
    later = {"match": [{"path": ["/app"]}], "handle": [proxy("127.0.0.1:1")]}
    found, unsure = site([rewrite, later])
    assert found is not None
    assert (found.upstreams, unsure) == (("127.0.0.1:1",), [])


FILE = {"output": "file", "filename": "/var/log/shop.log"}


@pytest.mark.parametrize(
    ("log", "logs", "expected"),
    [
        ({"writer": FILE, "include": ["http.log.access.log0"]},
         {"logger_names": {"shop.example": "log0"}}, True),
        ({"writer": FILE, "include": ["http.log.access.log0"]},
         {"logger_names": {"shop.example:80": ["log0"]}}, True),
        ({"writer": FILE, "include": ["http.log.access.log0"]}, {"default_logger_name": "log0"},
         True),
        ({"writer": FILE, "include": ["http.log.access.log1"]}, {"default_logger_name": "log0"},
         False),
        ({"writer": FILE}, {}, True),
        ({"writer": FILE, "exclude": ["http.log.access.log0"]}, {"default_logger_name": "log0"},
         False),
        ({"writer": FILE, "encoder": {"format": "console"}}, {}, False),
        ({"writer": FILE, "encoder": {"format": "filter", "wrap": {"format": "json"}}}, {}, True),
        ({"writer": {"output": "stderr"}}, {}, False),
        ({"writer": FILE}, {"skip_hosts": ["shop.example"]}, False),
        ({"writer": FILE}, None, False),
    ],
)  # fmt: skip
def test_the_access_log_in_force(log: Any, logs: Any, expected: bool) -> None:
    found, _ = site([], logging={"one": log}, logs=logs)
    assert found is not None
    wanted = (AccessLog(Path("/var/log/shop.log"), "json"),) if expected else ()
    assert found.access_logs == wanted


@pytest.mark.parametrize(
    ("listen", "is_there"),
    [
        (":80", True),
        ("127.0.0.1:80", True),
        ("tcp/127.0.0.1:80", True),
        ("0.0.0.0:80", True),
        (":79-81", True),
        ("127.0.0.2:80", False),
        (":81", False),
        ("udp/:80", False),
        ("unix//run/c", False),
        ("", False),
    ],
)
def test_where_a_server_listens(listen: str, is_there: bool) -> None:
    assert (site([], listen=listen)[0] is not None) is is_there


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *("match", "handle", "handler", "routes", "path", "host", "not", "listen"),
                    *("upstreams", "dial", "group", "logs", "writer", "filename", "encoder"),
                    *("uri", "path_regexp", "pattern", "logger_names", "include", "method"),
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(JSON, JSON, JSON, st.text(max_size=9))
def test_any_json_is_read_without_a_failure(routes: Any, logs: Any, log: Any, path: str) -> None:
    site(routes, path, logging=log, logs=logs)
    caddy_site.site(routes, Place("127.0.0.1", 80), "x", path, folder=None, root=Path("/"))
    caddy_site.admin(routes)


@given(st.text())
def test_any_text_is_read_without_a_failure(text: str) -> None:
    caddy.parse(text)
    caddy.words(text.split(" "))
    list(caddy_site.endpoints(text))


def test_json_nested_without_end_is_no_configuration() -> None:
    assert caddy.parse("[" * 100_000) is None
    inner: dict[str, Any] = {"handle": [proxy("127.0.0.1:1")]}
    for _ in range(200):
        inner = {"handle": [{"handler": "subroute", "routes": [inner]}]}
    _, unsure = site([inner])
    assert "nested too deep" in unsure[0]
    assert caddy.parse(json.dumps({"a": 1})) == {"a": 1}
