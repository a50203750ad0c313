from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host.proxies import nginx, nginx_location, nginx_site
from advisor.host.proxies.nginx_directive import Directive
from advisor.host.proxies.nginx_listen import Place, parse_listen
from advisor.host.proxies.nginx_site import Configuration
from advisor.host.proxies.site import AccessLog, Site

if TYPE_CHECKING:
    from collections.abc import Callable


def site(
    http: str,
    host: str = "shop.example",
    path: str = "/",
    *,
    at: tuple[str, int] = ("127.0.0.1", 80),
) -> tuple[Site | None, list[str]]:
    parsed = nginx.parse(f"http {{ {http} }}".encode())
    assert parsed is not None
    config = Configuration(tuple(parsed), prefix="/etc/nginx", default_log="/var/log/access.log")
    return nginx_site.site(config, Place(*at), host, path)


def upstreams(http: str, *words: str, **more: Any) -> tuple[str, ...]:
    found, unsure = site(http, *words, **more)
    assert found is not None
    assert found.upstreams or unsure
    return found.upstreams


# Every rule of choosing a location, and where it could go wrong. Each answers its own name.
LOCATIONS = """
location / { return 200 root; }
location = / { return 200 exact; }
location /a { return 200 a; }
location /a/b/ { return 200 ab; }
location ^~ /static/ { return 200 static; }
location ~ \\.php$ { return 200 php; }
location ~* \\.(jpe?g|PNG)$ { return 200 image; }
location ~ ^/a/(?<name>\\d+)$ { return 200 number; }
location =/glued { return 200 glued; }
location ~^/tight { return 200 tight; }
location /outer/ {
    location ~ \\.inner$ { return 200 inner; }
    location = /outer/exact { return 200 outerexact; }
    location /outer/deep/ { return 200 deep; }
    return 200 outer;
}
location ~ ^/pattern/ {
    location ~ \\.txt$ { return 200 text; }
    return 200 pattern;
}
location @named { return 200 named; }
location /tried/ { try_files /nothing.here @named; }
location /jumped/ { try_files /nothing.here /a/b/c; }
"""
PATHS = [
    *("/", "/x", "/a", "/ab", "/a/b/", "/a/b", "/a/b/x.php", "/static/x.php", "/static", "/x.php"),
    *("/x.PHP", "/x.jpeg", "/x.JPG", "/a/42", "/a/42x", "/glued", "/glued/", "/tight/x"),
    *("/outer/x.inner", "/outer/exact", "/outer/deep/y", "/outer/deep/y.php", "/outer/z"),
    *("/pattern/x.txt", "/pattern/x", "/pattern/x.php", "/tried/x", "/jumped/x", "/a//b/./c"),
    *("/%61/b/", "/a/b/../b/c", "/x/../a/b/", "/?q=/a/b/", "/x.php?y=1", "/a/b/?z", "/x.ph%70"),
]


@pytest.mark.daemon
def test_the_location_is_the_one_that_nginx_takes(
    free_port: Callable[..., int], proxies: Any
) -> None:
    port = free_port()
    http = f"server {{ listen 127.0.0.1:{port}; {LOCATIONS} }}"
    proxies.nginx(http, port)
    parsed = nginx.parse(f"http {{ {http} }}".encode())
    assert parsed is not None
    (server,) = parsed[0].all("server")
    with httpx.Client(trust_env=False) as client:
        for path in PATHS:
            # As a raw target: a client would resolve the dots itself.
            request = client.build_request("GET", f"http://127.0.0.1:{port}/")
            request.url = request.url.copy_with(raw_path=path.encode())
            answer = client.send(request).text
            found, unsure = nginx_location.locate(server, nginx_location.normal(path))
            (said,) = [entry.args[1] for entry in found[-1].all("return")]
            assert (said, unsure) == (answer, ()), path


SERVERS = """
server {{ listen 127.0.0.1:{one}; server_name shop.example; return 200 exact; }}
server {{ listen 127.0.0.1:{one}; server_name *.example; return 200 leading; }}
server {{ listen 127.0.0.1:{one}; server_name *.b.example; return 200 longer; }}
server {{ listen 127.0.0.1:{one}; server_name mail.*; return 200 trailing; }}
server {{ listen 127.0.0.1:{one}; server_name .dot.example; return 200 dotted; }}
server {{ listen 127.0.0.1:{one}; server_name ~^w(?<n>\\d+)\\.test$; return 200 pattern; }}
server {{ listen 127.0.0.1:{one} default_server; server_name _; return 200 default; }}
server {{ listen 127.0.0.1:{two}; server_name other.example; return 200 first; }}
server {{ listen {two}; server_name wild.example; return 200 wild; }}
server {{ listen [::1]:{one}; listen 127.0.0.1:{two}; server_name six.example; return 200 six; }}
"""
HOSTS = [
    *("shop.example", "SHOP.example", "x.example", "a.b.example", "mail.test", "mail.example"),
    *("dot.example", "x.dot.example", "w42.test", "w.test", "nobody", "other.example"),
    *("wild.example", "six.example", "shop.example."),
]


@pytest.mark.daemon
def test_the_server_is_the_one_that_nginx_takes(
    free_port: Callable[..., int], proxies: Any
) -> None:
    one, two = free_port(), free_port()
    http = SERVERS.format(one=one, two=two)
    proxies.nginx(http, one, two)
    parsed = nginx.parse(f"http {{ {http} }}".encode())
    assert parsed is not None
    places = [Place("127.0.0.1", one), Place("127.0.0.1", two), Place("::1", one)]
    for place in places:
        for host in HOSTS:
            answer = httpx.get(f"http://{place}/", headers={"Host": host}, trust_env=False).text
            chosen = nginx_site._chosen(parsed[0], place, host, "/")
            assert chosen is not None
            (said,) = [entry.args[1] for entry in chosen.blocks[1].all("return")]
            assert said == answer, (place, host)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("proxy_pass http://127.0.0.1:8000;", ("127.0.0.1:8000",)),
        ("proxy_pass http://127.0.0.1:8000/app/;", ("127.0.0.1:8000",)),
        ("proxy_pass http://[::1]:8000;", ("[::1]:8000",)),
        ("proxy_pass http://localhost;", ("localhost:80",)),
        ("proxy_pass https://localhost;", ("localhost:443",)),
        ("proxy_pass http://unix:/run/s:/app/;", ("unix:/run/s",)),
        ("proxy_pass http://pool;", ("127.0.0.1:80", "unix:/run/S", "127.0.0.1:9")),
        ("uwsgi_pass unix:/run/u;", ("unix:/run/u",)),
        ("proxy_pass http://$name;", ()),
        ("return 404;", ()),
        ("root /srv;", ()),
    ],
)
def test_upstreams(handler: str, expected: tuple[str, ...]) -> None:
    pool = "upstream pool { server 127.0.0.1:9 backup; server 127.0.0.1; server unix:/run/S;"
    pool += " server 127.0.0.1:8 down; keepalive 4; }"
    assert upstreams(f"{pool} server {{ listen 80; location / {{ {handler} }} }}") == expected


def test_a_handler_is_not_inherited() -> None:
    inner = "location /in/ { expires 1d; } proxy_pass http://127.0.0.1:8000;"
    http = f"server {{ listen 80; location / {{ {inner} }} }}"
    assert upstreams(http, "shop.example", "/") == ("127.0.0.1:8000",)
    assert upstreams(http, "shop.example", "/in/x") == ()


def test_a_return_of_the_server_comes_before_its_locations() -> None:
    http = "server { listen 80; return 301 https://$host; location / { proxy_pass http://a; } }"
    assert upstreams(http) == ()


@pytest.mark.parametrize("doubt", ["rewrite ^/x /y last;", "if ($arg_a) { return 403; }"])
def test_what_is_not_followed_is_said(doubt: str) -> None:
    http = f"server {{ listen 80; location / {{ {doubt} proxy_pass http://127.0.0.1:8000; }} }}"
    found, unsure = site(http)
    assert found is not None
    assert found.upstreams == ("127.0.0.1:8000",)
    assert "may lead elsewhere" in unsure[0]


def test_a_pattern_that_is_no_pattern_is_said() -> None:
    http = "server { listen 80; location ~ (?R)(a { return 200; } location / { root /; } }"
    _, unsure = site(http)
    assert "not understood" in unsure[0]


def test_nothing_that_listens_there_is_no_site() -> None:
    found, unsure = site("server { listen 81; }")
    assert (found, unsure) == (None, ["no server block of its configuration listens there"])


@pytest.mark.parametrize(
    ("main", "inner", "expected"),
    [
        ("", "", [("/var/log/access.log", "combined")]),
        ("access_log /m;", "", [("/m", "combined")]),
        ("access_log /m; log_format f '$a ' \"$b\";", "access_log /i f;", [("/i", "$a $b")]),
        ("access_log /m;", "access_log off;", []),
        ("access_log /m;", "access_log logs/i buffer=32k;", [("/etc/nginx/logs/i", "combined")]),
        ("", "access_log syslog:server=127.0.0.1;", []),
        ("", "access_log /$host;", []),
        ("", "access_log /i missing;", []),
        ("", "access_log /i combined if=$a;", []),
        ("", "access_log /i combined gzip flush=5m;", []),
        ("", "access_log /a; access_log /b;", [("/a", "combined"), ("/b", "combined")]),
    ],
)
def test_the_access_log_in_force(main: str, inner: str, expected: list[tuple[str, str]]) -> None:
    found, _ = site(f"{main} server {{ listen 80; location / {{ {inner} root /; }} }}")
    assert found is not None
    assert found.access_logs == tuple(AccessLog(Path(path), name) for path, name in expected)


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("listen 127.0.0.1:81; location = /s { stub_status; }", "http://127.0.0.1:81/s"),
        ("listen 81; location /s { stub_status on; }", "http://127.0.0.1:81/s"),
        ("listen [::1]:81; location /s { stub_status; }", "http://[::1]:81/s"),
        ("listen 192.0.2.1:81; location /s { stub_status; }", None),
        ("listen 443 ssl; location /s { stub_status; }", None),
        ("listen 80; location /s { stub_status; }", None),  # another server takes it there
        ("listen 81; location /s { return 200; }", None),
    ],
)
def test_stub_status_anywhere_on_loopback(server: str, url: str | None) -> None:
    found, _ = site(f"server {{ listen 80; }} server {{ {server} }}")
    assert found is not None
    assert found.stub_status == url


@pytest.mark.parametrize(
    ("text", "host", "first", "last"),
    [
        ("80", "0.0.0.0", 80, 80),
        ("*:81", "0.0.0.0", 81, 81),
        ("127.0.0.1", "127.0.0.1", 80, 80),
        ("localhost:82", "127.0.0.1", 82, 82),
        ("[::]:83", "::", 83, 83),
        ("[0:0::1]", "::1", 80, 80),
        ("127.0.0.1:84-85", "127.0.0.1", 84, 85),
        ("unix:/run/n", "unix:/run/n", 0, 0),
    ],
)
def test_listen(text: str, host: str, first: int, last: int) -> None:
    found = parse_listen([text])
    assert found is not None
    assert (found.host, found.first, found.last) == (host, first, last)


def test_an_ipv6_wildcard_takes_ipv4_only_where_it_says_so() -> None:
    assert site("server { listen [::]:80; }")[0] is None
    assert site("server { listen [::]:80 ipv6only=off; }")[0] is not None
    assert site("server { listen [::]:80; }", at=("::1", 80))[0] is not None
    assert site("server { listen unix:/run/n; }", at=("unix:/run/n", 0))[0] is not None


NAMES = st.sampled_from(
    [
        *("http", "server", "location", "listen", "server_name", "proxy_pass", "upstream"),
        *("access_log", "log_format", "try_files", "return", "stub_status", "include", "if"),
    ]
)
WORDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["80", "*:80", "[::1]", "~(", "~*", "@a", "=", "/", "unix:", "http://", "a:99999", "$x"]
    ),
)
TREES = st.recursive(
    st.builds(Directive, NAMES, st.lists(WORDS, max_size=3).map(tuple)),
    lambda inner: st.builds(
        Directive,
        NAMES,
        st.lists(WORDS, max_size=3).map(tuple),
        st.lists(inner, max_size=4).map(tuple),
    ),
    max_leaves=12,
)


@given(st.lists(TREES, max_size=4), st.text(max_size=9), st.text(max_size=9))
def test_no_tree_of_directives_is_too_strange(trees: list[Directive], host: str, path: str) -> None:
    blocks = (*trees, Directive("server", ("x",), (Directive("listen", ("80",)), *trees)))
    config = Configuration((Directive("http", (), blocks),))
    found, _ = nginx_site.site(config, Place("127.0.0.1", 80), host, path)
    assert found is not None
