"""nginx and Caddy as they are installed take every value that their rules give."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from advisor.demo.processes import free_port, running
from advisor.host import components
from advisor.rules import versions
from tests.rules.cases.nginx import HOSTS, ROUTES, fact, http
from tests.rules.cases.nginx_gzip import STATIC
from tests.rules.cases.nginx_tls import CERTIFICATE
from tests.rules.cases.shared import MIB
from tests.rules.test_proxies import decided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import NoReturn

ALL = {
    "server": "gunicorn",
    "gunicorn.timeout": 30,
    "plan.kind": "threads",
    "plan.concurrency": 64,
    "app.health": "/healthz",
    "limits.request_body": 10 * MIB,
    "limits.rate_per_client_rps": 2.5,
    "targets.rate_rps": 500,
    **HOSTS,
    **ROUTES,
    **STATIC,
    **CERTIFICATE,
    **http(fact(), fact("/search", bytes=300_000)),
}


def here(name: str, not_run: Callable[[str], NoReturn]) -> dict[str, Any]:
    """All that can be asked for, with the daemon that is installed."""
    found = components.components()
    if name not in found:
        not_run(f"{name} is not installed")
    return (
        ALL
        | {"proxy": name}
        | {f"components.{each}.modules": one.modules for each, one in found.items()}
        | versions.can(found)
    )


def word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


class Read(dict[str, Any]):
    """Values that know which of them were read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, id_: str) -> Any:
        self.read.add(id_)
        return super().__getitem__(id_)


# Directives named as their settings, and the suffix of their unit.
SERVER = (
    ["ssl_session_timeout", "client_header_timeout", "client_body_timeout", "send_timeout"],
    ["keepalive_timeout", "open_file_cache_valid", "proxy_connect_timeout"],
    ["proxy_read_timeout", "proxy_send_timeout", "proxy_next_upstream_timeout"],
)
PLAIN = (
    ["ssl_protocols", "ssl_prefer_server_ciphers", "ssl_session_tickets"],
    ["client_max_body_size", "gzip", "gzip_comp_level", "gzip_min_length", "gzip_types"],
    ["gzip_vary", "gzip_proxied", "proxy_buffering", "proxy_request_buffering", "proxy_buffers"],
    ["proxy_buffer_size", "proxy_next_upstream", "proxy_next_upstream_tries", "limit_req_status"],
)


def nginx_conf(folder: Path, values: Read, hosts: list[str], port: int) -> str:
    def of(name: str) -> str:
        return word(values[f"nginx.{name}"])

    fails = f"max_fails={of('upstream_max_fails')} fail_timeout={of('upstream_fail_timeout')}s"
    servers = "".join(f"server {host} {fails};" for host in hosts)
    lines = [f"{name} {of(name)};" for names in PLAIN for name in names]
    lines += [f"{name} {of(name)}s;" for names in SERVER for name in names]
    ciphers, curves = (":".join(values[f"nginx.ssl_{w}"]) for w in ("ciphers", "ecdh_curve"))
    cached = values["nginx.microcache_valid"][0].split(" ")
    temporary = "".join(
        f"{each}_temp_path {folder}/{each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
{"user root;" * (os.geteuid() == 0)}
pid {folder}/nginx.pid; error_log stderr;
events {{ }}
http {{
  access_log off; {temporary}
  limit_req_zone $binary_remote_addr zone=a_req:{of("limit_req_zone_size")}
    rate={of("limit_req_rate")};
  limit_conn_zone $binary_remote_addr zone=a_conn:{of("limit_conn_zone_size")};
  proxy_cache_path {folder}/cache keys_zone=a_cache:{of("microcache_zone_size")}
    max_size={of("microcache_max_size")} inactive={of("microcache_inactive")}s;
  upstream app {{
    zone a_app {of("upstream_zone_size")}; {of("upstream_method")}; {servers}
    keepalive {of("upstream_keepalive")};
    keepalive_timeout {of("upstream_keepalive_timeout")}s;
    keepalive_requests {of("upstream_keepalive_requests")};
  }}
  server {{
    listen 127.0.0.1:{port}; listen 127.0.0.1:{free_port()} ssl {"http2" * values["nginx.http2"]};
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    ssl_ciphers {ciphers}; ssl_ecdh_curve {curves};
    ssl_session_cache shared:a_tls:{of("ssl_session_cache_size")};
    add_header Strict-Transport-Security "max-age={of("hsts_max_age")}" always;
    proxy_http_version 1.1; proxy_set_header Connection "";
    open_file_cache max={of("open_file_cache_max")};
    {"".join(lines)}
    location / {{
      limit_req zone=a_req burst={of("limit_req_burst")}
        {"nodelay" * values["nginx.limit_req_nodelay"]};
      limit_conn a_conn {of("limit_conn_per_client")};
      proxy_pass http://app;
    }}
    location /static/ {{ expires {of("static_expires")}s; alias {folder}/; }}
    location /ws {{ proxy_read_timeout {of("websocket_read_timeout")}s; proxy_pass http://app; }}
    location /events {{
      proxy_read_timeout {of("stream_read_timeout")}s; proxy_buffering {of("stream_buffering")};
      proxy_pass http://app;
    }}
    location {cached[0]} {{
      proxy_cache a_cache; proxy_cache_valid 200 {cached[1]};
      proxy_cache_key {of("microcache_key")};
      proxy_cache_bypass {of("microcache_bypass")}; proxy_no_cache {of("microcache_bypass")};
      proxy_cache_lock {of("microcache_lock")};
      proxy_cache_use_stale {of("microcache_use_stale")};
      proxy_cache_background_update {of("microcache_background_update")};
      proxy_pass http://app;
    }}
  }}
}}
"""


def written(folder: Path, values: Read, hosts: list[str], port: int) -> list[str]:
    """nginx's configuration, with a certificate; the command that runs it."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    file = folder / "nginx.conf"
    file.write_text(nginx_conf(folder, values, hosts, port))
    return [str(components.find("nginx")), "-p", str(folder), "-c", str(file)]


@pytest.mark.daemon
def test_nginx_takes_every_value(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    seen = here("nginx", not_run)
    values = Read(decided(seen))
    command = written(tmp_path, values, seen["hosts"], free_port())
    done = subprocess.run(
        [*command, "-t"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    unread = set(values) - values.read
    assert unread == {"nginx.http3", "nginx.set_real_ip_from"}, "the rest is in that file"


@contextmanager
def app() -> Iterator[tuple[int, list[str]]]:
    """A server of JSON; its port, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"name": "value"}' * 50
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.daemon
def test_nginx_keeps_packs_limits_and_asks_another_host(
    tmp_path: Path, not_run: Callable[[str], NoReturn]
) -> None:
    (tmp_path / "ready.txt").write_text("ready")
    with app() as (port, asked):
        hosts = [f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}"]
        routes = ROUTES["routes"] | {"/search": {"microcache": "600s"}}
        wanted = {"limits.rate_per_client_rps": 0.5, "routes": routes, "hosts": hosts}
        seen = here("nginx", not_run) | wanted
        own = free_port()
        command = written(tmp_path, Read(decided(seen)), hosts, own)
        url = f"http://127.0.0.1:{own}"
        ready = f"{url}/static/ready.txt"
        with (
            running([*command, "-g", "daemon off;"], url=ready, log=tmp_path / "log"),
            httpx.Client(base_url=url, trust_env=False) as client,
        ):
            assert client.get(ready).headers["Cache-Control"] == "max-age=3600"
            kept = [client.get("/search?q=1") for _ in range(5)]
            assert [answer.status_code for answer in kept] == [200] * 5
            assert {answer.headers["Content-Encoding"] for answer in kept} == {"gzip"}
            assert asked.count("/search?q=1") == 1
            client.get("/search?q=1", headers={"Cookie": "session=me"})
            assert asked.count("/search?q=1") == 2
            # The dead host's requests went to the other; the eleventh and later are refused.
            codes = [client.get("/items").status_code for _ in range(40)]
            assert codes[:11] == [200] * 11
            assert set(codes[11:]) >= {429}
            assert set(codes) == {200, 429}


def caddyfile(values: Read) -> str:
    def line(name: str, option: str, suffix: str = "") -> str:
        value = values[f"caddy.{name}"]
        return "" if value is None else f"{option} {word(value)}{suffix}\n"

    return f"""{{
admin off
{line("grace_period", "grace_period", "s")}
servers {{
timeouts {{
{line("read_header", "read_header", "s")}{line("read_body", "read_body", "s")}
{line("write", "write", "s")}{line("idle", "idle", "s")}
}}
}}
}}
http://127.0.0.1:{free_port()} {{
request_body {{
{line("request_body_max", "max_size")}
}}
encode {word(values["caddy.encode"])} {{
{line("encode_minimum_length", "minimum_length")}
}}
header Strict-Transport-Security "max-age={values["caddy.hsts_max_age"]}"
header /static/* Cache-Control "{values["caddy.static_cache_control"]}"
reverse_proxy {" ".join(ALL["hosts"])} {{
{line("lb_policy", "lb_policy")}{line("lb_retries", "lb_retries")}
{line("lb_try_duration", "lb_try_duration", "s")}
{line("max_fails", "max_fails")}{line("fail_duration", "fail_duration", "s")}
{line("health_uri", "health_uri")}{line("health_interval", "health_interval", "s")}
{line("health_timeout", "health_timeout", "s")}
{line("request_buffers", "request_buffers")}{line("response_buffers", "response_buffers")}
{line("stream_flush_interval", "flush_interval")}
{line("stream_close_delay", "stream_close_delay", "s")}
{line("stream_timeout", "stream_timeout", "s")}
transport http {{
{line("dial_timeout", "dial_timeout", "s")}
{line("response_header_timeout", "response_header_timeout", "s")}
{line("read_timeout", "read_timeout", "s")}{line("write_timeout", "write_timeout", "s")}
{line("upstream_keepalive_idle", "keepalive", "s")}
{line("upstream_keepalive", "keepalive_idle_conns_per_host")}
}}
}}
}}
"""


@pytest.mark.daemon
def test_caddy_takes_every_value(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> None:
    values = Read(decided(here("caddy", not_run)))
    file = tmp_path / "Caddyfile"
    file.write_text(caddyfile(values))
    done = subprocess.run(
        [str(components.find("caddy")), "validate", "--adapter", "caddyfile", "--config", file],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    # A certificate's own, a proxy's in front, and what only a Caddy with more modules has.
    unread = set(values) - values.read
    assert unread == {
        "caddy.http3",
        "caddy.microcache_ttl",
        "caddy.rate_limit_window",
        "caddy.tls_curves",
        "caddy.tls_protocols",
        "caddy.trusted_proxies",
    }
