from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host.components import find
from advisor.host.locate import hosts, locate
from advisor.host.proxies.site import AccessLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server

WSGI, ASGI = "shop:wsgi", "shop:app"  # the apps that conftest.py writes
pytestmark = pytest.mark.daemon


def test_an_app_server_is_found_itself(
    launch: Callable[..., Server], free_port: Callable[..., int]
) -> None:
    port = free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    found = locate("127.0.0.1", port, host="shop.example", path="/")
    assert found.server is not None
    assert (found.server.pid, found.through, found.upstream, found.site) == (
        server.pid,
        (),
        None,
        None,
    )
    assert found.unknown == ()


@pytest.mark.parametrize(
    "words",
    [
        ("gunicorn", "-b", "127.0.0.1:{port}", WSGI),
        ("uvicorn", "--port", "{port}", ASGI),
        ("hypercorn", "-b", "127.0.0.1:{port}", ASGI),
        ("granian", "--interface", "asgi", "--port", "{port}", ASGI),
    ],
)
def test_every_server_behind_nginx(
    words: tuple[str, ...],
    launch: Callable[..., Server],
    free_port: Callable[..., int],
    proxies: Any,
) -> None:
    port, front = free_port(), free_port()
    server = launch(*(word.format(port=port) for word in words))
    log = proxies.folder / "access.log"
    proxies.nginx(
        "log_format timed escape=json '$request ' '$request_time';"
        f"upstream shop {{ server 127.0.0.1:{port}; }}"
        f"server {{ listen 127.0.0.1:{front}; access_log {log} timed;"
        "  location / { proxy_pass http://shop; }"
        "  location /nginx { stub_status; access_log off; } }",
        front,
    )
    found = locate("127.0.0.1", front, host="shop.example", path="/")
    assert found.server is not None
    assert found.server.pid == server.pid
    assert (found.through, found.upstream) == (("nginx",), f"127.0.0.1:{port}")
    assert found.site is not None
    assert found.site.access_logs == (AccessLog(log, "escape=json $request $request_time"),)
    assert found.site.stub_status == f"http://127.0.0.1:{front}/nginx"
    assert found.unknown == ()


def test_a_unix_socket_behind_nginx(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    front, path = free_port(), proxies.folder / "shop.sock"
    server = launch("gunicorn", "-b", f"unix:{path}", WSGI)
    (proxies.folder / "run").symlink_to(proxies.folder)
    proxies.nginx(
        f"server {{ listen {front}; location @app {{"
        f" proxy_pass http://unix:{proxies.folder}/run/shop.sock; }}"
        " location / { try_files $uri @app; } }",
        front,
    )
    found = locate("127.0.0.1", front, host="localhost", path="/")
    assert found.server is not None
    assert (found.server.pid, found.upstream) == (
        server.pid,
        f"unix:{proxies.folder}/run/shop.sock",
    )


def test_caddy_by_its_admin_api(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    port, front, admin = free_port(), free_port(), free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    log = proxies.folder / "caddy.log"
    text = (
        f"{{\n admin 127.0.0.1:{admin}\n auto_https off\n}}\n"
        f"http://shop.example:{front} {{\n log {{\n output file {log}\n }}\n encode gzip\n"
        f" handle_path /api/* {{\n reverse_proxy localhost:{port}\n }}\n"
        " handle {\n respond hello\n }\n}\n"
    )
    proxies.caddy(text, front)
    found = locate("127.0.0.1", front, host="shop.example", path="/api/x")
    assert found.server is not None
    assert (found.server.pid, found.through) == (server.pid, ("caddy",))
    assert found.upstream == f"127.0.0.1:{port}"
    assert found.site is not None
    assert found.site.access_logs == (AccessLog(log, "json"),)
    assert found.unknown == ()
    itself = locate("127.0.0.1", front, host="shop.example", path="/")
    assert itself.server is None
    assert itself.unknown[-1].why == "caddy answers this itself"


def test_caddy_without_its_admin_api(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    port, front = free_port(), free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    proxies.caddy(f"{{\n admin off\n}}\nhttp://:{front} {{\n reverse_proxy :{port}\n}}\n", front)
    found = locate("127.0.0.1", front, host="127.0.0.1", path="/")
    assert found.server is not None
    assert found.server.pid == server.pid
    assert ["its admin API does not answer" in entry.why for entry in found.unknown] == [True]


def test_nginx_before_caddy_before_the_app(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    port, middle, front = free_port(), free_port(), free_port()
    server = launch("gunicorn", "-b", f"127.0.0.1:{port}", WSGI)
    admin = free_port()
    proxies.caddy(
        f"{{\n admin 127.0.0.1:{admin}\n}}\n"
        f"http://:{middle} {{\n reverse_proxy 127.0.0.1:{port}\n}}\n",
        middle,
    )
    proxies.nginx(
        f"server {{ listen 127.0.0.1:{front};"
        f" location / {{ proxy_pass http://localhost:{middle}; }} }}",
        front,
    )
    found = locate("127.0.0.1", front, host="shop.example", path="/")
    assert found.server is not None
    assert (found.server.pid, found.through) == (server.pid, ("nginx", "caddy"))
    assert found.upstream == f"127.0.0.1:{port}"


def test_over_ipv6_and_tls(
    launch: Callable[..., Server],
    free_port: Callable[..., int],
    proxies: Any,
    not_run: Callable[[str], Any],
) -> None:
    port, plain, front = free_port("::1"), free_port(), free_port("::1")
    server = launch("uvicorn", "--host", "::1", "--port", port, ASGI)
    openssl = find("openssl") or not_run("no openssl")
    key, certificate = proxies.folder / "key.pem", proxies.folder / "cert.pem"
    words = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=shop.example"]
    subprocess.run(
        [openssl, "req", "-x509", *words, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    proxies.nginx(
        f"server {{ listen {plain}; return 301 https://$host; }}"
        f"server {{ listen [::1]:{front} ssl; server_name shop.example;"
        f"  ssl_certificate {certificate}; ssl_certificate_key {key};"
        f"  location / {{ proxy_pass http://[::1]:{port}; }} }}",
        plain,
    )
    found = locate("::1", front, host="shop.example", path="/")
    assert found.server is not None
    assert (found.server.pid, found.upstream) == (server.pid, f"[::1]:{port}")
    assert locate("127.0.0.1", plain, host="shop.example", path="/").server is None


@given(st.text(), st.text(max_size=9))
def test_any_hosts_file_is_read_without_a_failure(table: str, name: str) -> None:
    hosts(table, name)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("root /srv;", "nginx answers this itself"),
        ("return 204;", "nginx answers this itself"),
        ("set $up 127.0.0.1:1; proxy_pass http://$up;", "names its upstream by a variable"),
        ("proxy_pass http://192.0.2.1:80;", "none of this host's"),  # TEST-NET-1, RFC 5737
        ("proxy_pass http://127.0.0.1:1;", "nothing listens there"),
        ("proxy_pass http://unix:/nowhere/s;", "no such socket"),
    ],
)
def test_what_leads_to_no_server_is_said(
    location: str, why: str, free_port: Callable[..., int], proxies: Any
) -> None:
    front = free_port()
    proxies.nginx(f"server {{ listen {front}; location / {{ {location} }} }}", front)
    found = locate("127.0.0.1", front, host="localhost", path="/x")
    assert (found.server, found.through) == (None, ("nginx",))
    assert why in found.unknown[-1].why


def test_of_several_upstreams_the_one_that_is_there(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    gone, port, front = free_port(), free_port(), free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    proxies.nginx(
        f"upstream shop {{ server 127.0.0.1:{gone}; server 127.0.0.1:{port}; }}"
        f"server {{ listen {front}; location / {{ proxy_pass http://shop; }} }}",
        front,
    )
    found = locate("127.0.0.1", front, host="localhost", path="/")
    assert found.server is not None
    assert (found.server.pid, found.upstream) == (server.pid, f"127.0.0.1:{port}")
    assert [f"others are 127.0.0.1:{gone}" in entry.why for entry in found.unknown] == [True]


def test_proxies_that_lead_in_a_circle_come_to_an_end(
    free_port: Callable[..., int], proxies: Any
) -> None:
    front = free_port()
    proxies.nginx(
        f"server {{ listen {front}; location / {{ proxy_pass http://127.0.0.1:{front}; }} }}", front
    )
    found = locate("127.0.0.1", front, host="localhost", path="/")
    assert found.server is None
    assert "more than 3 proxies" in found.unknown[-1].why


def test_a_configuration_newer_than_its_nginx(
    launch: Callable[..., Server], free_port: Callable[..., int], proxies: Any
) -> None:
    port, front = free_port(), free_port()
    launch("uvicorn", "--port", port, ASGI)
    proxies.nginx(
        f"server {{ listen {front}; location / {{ proxy_pass http://127.0.0.1:{port}; }} }}", front
    )
    later = (proxies.folder / "nginx.conf").stat().st_mtime + 3600
    os.utime(proxies.folder / "nginx.conf", (later, later))
    found = locate("127.0.0.1", front, host="localhost", path="/")
    assert found.server is not None
    assert ["newer than nginx's workers" in entry.why for entry in found.unknown] == [True]


def answering(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


LOOK = """
from advisor.host.locate import locate
found = locate("127.0.0.1", {front}, host="localhost", path="/")
print(found.server and found.server.pid, found.through, found.upstream)
print([entry.why for entry in found.unknown])
"""


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_an_ordinary_user_beside_roots_proxy_and_server(
    proxy: str,
    launch: Callable[..., Server],
    free_port: Callable[..., int],
    proxies: Any,
    as_nobody: Callable[[str], str],
) -> None:
    port, front, admin = free_port(), free_port(), free_port()
    server = launch("uvicorn", "--port", port, ASGI)
    upstream = f"127.0.0.1:{port}"
    if proxy == "nginx":
        site = f"server {{ listen {front}; location / {{ proxy_pass http://{upstream}; }} }}"
        proxies.nginx(site, front)
    else:
        head = f"{{\n admin 127.0.0.1:{admin}\n}}\n"
        proxies.caddy(f"{head}http://:{front} {{\n reverse_proxy {upstream}\n}}\n", front)
    first, second, *_ = as_nobody(LOOK.format(front=front)).splitlines()
    assert first == f"{server.pid} ('{proxy}',) {upstream}"
    assert "its configuration fits" in second


def test_an_ordinary_user_before_a_configuration_they_may_not_read(
    free_port: Callable[..., int], proxies: Any, as_nobody: Callable[[str], str]
) -> None:
    front = free_port()
    proxies.nginx(f"server {{ listen {front}; return 204; }}", front)
    (proxies.folder / "nginx.conf").chmod(0o600)
    first, second, *_ = as_nobody(LOOK.format(front=front)).splitlines()
    assert first.startswith("None ()")
    assert "no process that uid 65534 may read holds the socket" in second


def test_a_program_that_calls_itself_nginx_is_not_believed_too_much(
    free_port: Callable[..., int], proxies: Any
) -> None:
    """Anybody may listen under that name and point to any file: nothing of it is shown."""
    front = free_port()
    secret = proxies.folder / "secret"
    secret.write_text("hunter2 {{{ \x1b[2J")
    code = (
        f"import ctypes,socket,time; s = socket.create_server(('127.0.0.1', {front}));"
        "ctypes.CDLL(None).prctl(15, b'nginx', 0, 0, 0); time.sleep(60)"
    )
    argv = [f"nginx: master process /x/nginx -c {secret}", "-c", code]
    with subprocess.Popen(argv, executable=os.path.realpath("/usr/bin/python3")) as process:
        try:
            proxies.running.append(process)
            deadline = time.monotonic() + 20
            while not answering(front):
                assert process.poll() is None
                assert time.monotonic() < deadline
            found = locate("127.0.0.1", front, host="localhost", path="/")
        finally:
            process.terminate()
    assert found.server is None
    assert "hunter2" not in str(found.unknown)
    assert "\x1b" not in str(found.unknown)
