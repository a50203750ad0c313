from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.host import components
from advisor.host.components import (
    parse_caddy,
    parse_nginx,
    parse_nginx_openssl,
    parse_openssl,
    parse_systemd,
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
    ],
)
def test_versions(parse: Callable[[str], Component | None], text: str, version: str) -> None:
    found = parse(text)
    assert found is not None
    assert found.version == version


@pytest.mark.parametrize(
    "parse", [parse_nginx, parse_nginx_openssl, parse_openssl, parse_systemd, parse_caddy]
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
    assert "http_ssl" in components.components()["nginx"].modules


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
