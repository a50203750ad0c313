from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.host import components
from advisor.host.components import (
    parse_caddy,
    parse_caddy_modules,
    parse_keydb,
    parse_nginx,
    parse_nginx_configuration,
    parse_nginx_openssl,
    parse_openssl,
    parse_redis,
    parse_systemd,
    parse_valkey,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from advisor.documents import Component

NGINX = """\
nginx version: nginx/1.22.1
built with OpenSSL 3.0.8 7 Feb 2023 (running with OpenSSL 3.0.17 1 Jul 2025)
TLS SNI support enabled
configure arguments: --prefix=/usr/share/nginx --with-http_v2_module --with-http_ssl_module \
--with-http_geoip_module=dynamic --with-mail=dynamic --with-stream_ssl_module
"""


def test_nginx_with_the_modules_that_are_compiled_in() -> None:
    found = parse_nginx(NGINX)
    assert found is not None
    assert (found.version, found.modules) == ("1.22.1", ["http_ssl", "http_v2"])


@pytest.mark.parametrize(
    ("parse", "text", "version"),
    [
        (parse_nginx, "nginx version: nginx/1.29.7 (Ubuntu)\n", "1.29.7"),
        (parse_nginx, "nginx version: openresty/1.27.1.2\n", "1.27.1.2"),
        (parse_nginx_openssl, NGINX, "3.0.17"),
        (parse_nginx_openssl, "built with OpenSSL 1.1.1w  11 Sep 2023\n", "1.1.1w"),
        (parse_openssl, "OpenSSL 3.5.0 8 Apr 2025 (Library: OpenSSL 3.5.0)\n", "3.5.0"),
        (parse_systemd, "systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n", "252"),
        (parse_caddy, "v2.11.7 h1:abc=\n", "2.11.7"),
        (parse_caddy, "2.6.2\n", "2.6.2"),
        (parse_redis, "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64", "7.0.15"),
        (parse_valkey, "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc bits=64", "8.1.1"),
        (parse_keydb, "KeyDB server v=6.3.4 sha=7e7e5e57:0 malloc=jemalloc bits=64", "6.3.4"),
    ],
)
def test_versions(parse: Callable[[str], Component | None], text: str, version: str) -> None:
    found = parse(text)
    assert found is not None
    assert found.version == version


def test_modules_of_other_makers_that_are_compiled_in() -> None:
    found = parse_nginx(f"{NGINX} --add-module=/build/ngx_brotli --add-module=/src/echo/")
    assert found is not None
    assert found.modules == ["brotli", "echo", "http_ssl", "http_v2"]


def test_where_the_configuration_is() -> None:
    text = NGINX.replace("--prefix", "--conf-path=/etc/nginx/nginx.conf --prefix")
    assert str(parse_nginx_configuration(text)) == "/etc/nginx/nginx.conf"
    assert parse_nginx_configuration(NGINX) is None


CADDY = """\
admin.api.load
http.handlers.encode

  Standard modules: 2

dns.providers.cloudflare
http.encoders.br

  Non-standard modules: 2

  Unknown modules: 0
"""


def test_caddys_own_modules_are_not_worth_a_word() -> None:
    assert parse_caddy_modules(CADDY) == ["dns.providers.cloudflare", "http.encoders.br"]


@pytest.mark.parametrize("text", ["", "unknown command", CADDY.partition("dns")[0]])
def test_a_caddy_that_lists_nothing_has_none(text: str) -> None:
    assert parse_caddy_modules(text) == []


def test_where_valkey_answers_for_redis_it_is_not_redis() -> None:
    assert parse_redis("Valkey server v=8.1.1 sha=00000000:0") is None


@pytest.mark.parametrize(
    "parse",
    [
        parse_nginx,
        parse_nginx_openssl,
        parse_openssl,
        parse_systemd,
        parse_caddy,
        parse_redis,
        parse_valkey,
    ],
)
@pytest.mark.parametrize("text", ["", "command not found", "LibreSSL 3.8\n"])
def test_another_answer_is_no_version(parse: Callable[[str], Component | None], text: str) -> None:
    assert parse(text) is None


def test_nginx_is_found_in_sbin_with_an_ordinary_path(
    monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], NoReturn]
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    if not os.access("/usr/sbin/nginx", os.X_OK):
        not_run("no /usr/sbin/nginx")
    found = components.components()
    assert "http_ssl" in found["nginx"].modules
    assert found["nginx"].path == "/usr/sbin/nginx"
    assert found["openssl"].path != "/usr/sbin/nginx"


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("name", "program"), [("redis", "redis-server"), ("caddy", "caddy"), ("nginx", "nginx")]
)
def test_daemons_that_are_installed_are_found(
    name: str, program: str, not_run: Callable[[str], NoReturn]
) -> None:
    path = components.find(program)
    if path is None:
        not_run(f"no {program}")
    found = components.components()[name]
    assert found.path == path
    assert found.version.count(".") >= 1


def _program(folder: Path, mode: int = 0o755) -> Path:
    program = folder / "advisor-test-program"
    program.write_text("#!/bin/sh\n")
    program.chmod(mode)
    return program


def test_root_runs_no_program_that_somebody_else_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give a file away")
    monkeypatch.setenv("PATH", str(tmp_path))
    program = _program(tmp_path)
    assert components.find(program.name) == str(program)
    program.chmod(0o777)
    assert components.find(program.name) is None
    program.chmod(0o755)
    os.chown(program, 65534, 65534)
    assert components.find(program.name) is None
