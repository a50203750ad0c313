"""The real nginx accepts every variant, and ours catches what it lets through."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.host.components import parse_nginx, parse_nginx_openssl
from advisor.render import check, render, stage_nginx
from advisor.render.checks import nginx as nginx_check
from advisor.render.checks import nginx_own
from advisor.render.checks.result import find_program, run
from advisor.render.stage import stage
from advisor.render.values import inputs_of
from tests.render.kit.nginx_sites import ACME, BEHIND, HOSTS, NEW, RICH, TLS, advise

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File
    from advisor.render.values import Inputs

    Here = Callable[..., Recommendation]
    NotRun = Callable[[str], NoReturn]

pytestmark = pytest.mark.daemon

SHOP = "nginx/shop.conf"
BALANCER = "load_balancer/shop.conf"
WITH_DEFAULT = {"manage": ["proxy", "default-server"]}


@pytest.fixture
def here(not_run: NotRun) -> Here:
    """Recommendations for the nginx that the checks find, and its OpenSSL."""
    program = find_program("nginx")
    if program is None:
        not_run("nginx is not installed")
    about = run([program, "-V"]).stderr
    nginx, openssl = parse_nginx(about), parse_nginx_openssl(about)
    assert nginx is not None
    assert openssl is not None
    return lambda **keys: advise({"nginx": nginx, "openssl": openssl}, **keys)


def mine(rec: Recommendation) -> list[File]:
    return [file for file in render(rec) if file.output and file.output.checker == "nginx"]


def results(rec: Recommendation, files: list[File] | None = None) -> list[CheckResult]:
    return nginx_check.check(mine(rec) if files is None else files, inputs_of(rec))


def failures(found: list[CheckResult]) -> list[str]:
    return [line for result in found if result.status != "passed" for line in result.lines]


def damaged(rec: Recommendation, old: str, new: str, path: str = SHOP) -> list[File]:
    out = []
    for file in mine(rec):
        text = file.content.decode()
        if file.path == path:
            assert old in text
            text = text.replace(old, new, 1)
        out.append(replace(file, content=text.encode()))
    return out


@pytest.mark.parametrize(
    "keys",
    [
        {},
        RICH,
        RICH | TLS | WITH_DEFAULT,
        RICH | ACME | WITH_DEFAULT,
        RICH | TLS | BEHIND,
        RICH | TLS | HOSTS | BEHIND | WITH_DEFAULT,
        ACME | HOSTS,
        {"hosts": ["web1.example:80", "10.0.0.12:80", "[fd00::13]:80", "localhost:81"]},
        TLS | {"domain": "*.shop.example"},
        ACME | {"domain": "*.shop.example"},
        RICH | {"domain": None},
        {"domain": None, **WITH_DEFAULT},
        {"domain": "a" * 60 + ".shop.example"},
        {"listen": "[::1]:8000", "routes": {"/": "websocket"}},
        {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"], "listen": "0.0.0.0:8000"},
        TLS | {"pins": {"nginx.http3": True, "nginx.ssl_ecdh_curve": ["X25519MLKEM768"]}},
        TLS | {"pins": BEHIND["pins"] | {"nginx.real_ip_header": "proxy_protocol"}},
        RICH | {"pins": {"nginx.upstream_keepalive": None, "nginx.proxy_buffering": False}},
        {"app": {"name": "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-pq", "module": "m:a"}, **RICH, **BEHIND},
    ],
)
def test_nginx_accepts_it_with_nothing_to_say(here: Here, keys: dict[str, Any]) -> None:
    rec = here(**keys)
    found = results(rec)
    assert failures(found) == []
    assert {result.path for result in found} == {file.path for file in mine(rec)}
    assert {nginx_own.CHECK} < {result.check for result in found}


def test_the_first_certificates_file_is_loaded_alone_too(here: Here) -> None:
    found = results(here(**ACME))
    (first,) = [one for one in found if one.check.endswith("before the first certificate")]
    assert first.path == "nginx/shop.acme.conf"
    assert first.stand_ins == ()
    together = [one for one in found if one.path == SHOP and one.stand_ins]
    live = "a certificate for /etc/letsencrypt/live/shop.example/fullchain.pem"
    assert any(live in one.stand_ins for one in together)


def test_a_hosts_name_is_looked_up_by_nobody(here: Here, tmp_path: Path) -> None:
    names = ["web1.example:80", "web2:8080", "10.0.0.13:80"]
    staged = stage([file for file in mine(here(hosts=names)) if file.path == BALANCER], tmp_path)
    assert {"an address for web1.example", "an address for web2"} <= set(staged.stand_ins)
    servers = [
        line.split()[1]
        for line in (tmp_path / "shop.conf").read_text().splitlines()
        if line.startswith("    server ")
    ]
    assert servers == ["127.0.0.1:80", "127.0.0.1:8080", "10.0.0.13:80"]


def test_a_real_certificate_is_used_where_it_can_be_read(here: Here, tmp_path: Path) -> None:
    cert, key = tmp_path / "a.pem", tmp_path / "a.key"
    cert.write_text("no certificate")
    key.write_text("no key")
    rec = here(tls={"certificate": str(cert), "key": str(key)})
    assert any("a.pem" in line for line in failures(results(rec)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("server unix:/run/shop/shop.sock;", "server 127.0.0.1:1;", "the app is at unix:"),
        ("proxy_pass http://shop_app;", "proxy_pass http://$host;", "proxy_pass leads to"),
        ("X-Forwarded-For $remote_addr", "X-Forwarded-For $proxy_add_x_forwarded_for", "own word"),
        ("Host $host;", "Host $http_host;", "own word"),
        ('    proxy_set_header Forwarded "";\n', "", "forwarded comes through"),
        ("alias /srv/shop/static/;", "alias /srv/shop/static;", "leads out of the folder"),
        ("gzip off;", "gzip off;\n        add_header X-A b;", "of the server is lost here"),
        ("zone=shop_rate:", "zone=rate:", "may be another app's"),
        ("$shop_nosniff {", "$nosniff {", "may be another app's"),
        ("server_name shop.example;", "server_name other.example;", "is not the app's"),
        ("listen 80;", "listen 80 default_server;", "takes other sites' requests"),
        ("ssl_certificate /etc/ssl/shop.pem;", "ssl_certificate /etc/ssl/a.pem;", "advisor.yml"),
    ],
)
def test_damage_that_nginx_would_take_is_caught_with_its_line(
    here: Here, old: str, new: str, said: str
) -> None:
    rec = here(**RICH, **TLS)
    own = nginx_own.check(
        next(file for file in damaged(rec, old, new) if file.path == SHOP), inputs_of(rec)
    )
    assert own.status == "failed"
    assert any(said in line for line in own.lines), own.lines
    assert all(line.startswith(f"{SHOP}:") for line in own.lines)


def text_of(rec: Recommendation, path: str = SHOP) -> str:
    return next(file.content.decode() for file in mine(rec) if file.path == path)


@pytest.fixture(scope="module")
def rich() -> tuple[File, Inputs]:
    rec = advise(**RICH, **TLS)
    (file,) = mine(rec)
    return file, inputs_of(rec)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_ours_reads_whatever_is_left_of_a_file(
    rich: tuple[File, Inputs], data: st.DataObject
) -> None:
    file, inputs = rich
    size = len(file.content)
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, min(size, start + 200)))
    left = replace(file, content=file.content[:start] + file.content[end:])
    result = nginx_own.check(left, inputs)
    assert all(line.startswith(SHOP) for line in result.lines)


def test_a_default_server_that_takes_no_request_is_caught(here: Here) -> None:
    rec = here(**WITH_DEFAULT)
    path = "nginx/default.conf"
    broken = damaged(rec, "listen 80 default_server;", "listen 80;", path)
    assert any("lacks default_server" in line for line in failures(results(rec, broken)))


def test_a_line_belongs_to_the_file_it_stands_in(here: Here) -> None:
    rec = here(**HOSTS)
    broken = damaged(rec, "least_conn;", "least_con;", BALANCER)
    lines = failures(results(rec, broken))
    number = 1 + text_of(rec, BALANCER).splitlines().index("    least_conn;")
    assert any(line.startswith(f"{BALANCER}:{number}: [emerg]") for line in lines), lines
    assert not [line for line in lines if line.startswith(SHOP)]


def test_a_warning_is_a_failure(here: Here) -> None:
    rec = here()
    broken = damaged(rec, "gzip_types", "gzip_types text/html")
    assert any("[warn]" in line for line in failures(results(rec, broken)))


def test_two_apps_stand_beside_each_other(here: Here, tmp_path: Path) -> None:
    """Their names clash in nothing, whatever they are called: a warning would be a clash."""
    files = []
    for name in ("shop", "shop-a", "shop_a"):
        app = {"name": name, "module": "shop.main:app", "interface": "asgi"}
        rec = here(app=app, **RICH, **ACME, **BEHIND)
        domain = name.replace("_", "-under-")
        files += [
            replace(
                file, content=file.content.replace(b"shop.example", f"{domain}.example".encode())
            )
            for file in mine(rec)
        ]
    conf = stage_nginx(files, tmp_path)
    done = run([str(find_program("nginx")), "-t", "-e", "stderr", "-q", "-c", conf, "-p", tmp_path])
    assert (done.code, done.stderr) == (0, "")


def test_a_stage_touches_nothing_of_the_hosts(here: Here, tmp_path: Path) -> None:
    rec = here(**RICH, **TLS)
    staged = stage(mine(rec), tmp_path)
    text = (tmp_path / "shop.conf").read_text()
    assert "/var/" not in text
    assert f'"{tmp_path}/shop.access.json.log"' in text
    assert f'"{tmp_path}/nginx-shop"' in text
    assert f"listen unix:{tmp_path}/status.sock;" in text
    assert staged.paths == {str(tmp_path / "shop.conf"): SHOP}


def test_a_module_that_only_the_target_has_is_not_judged_here(here: Here) -> None:
    rec = here()
    nginx = rec.components["nginx"]
    more = nginx.model_copy(update={"modules": [*nginx.modules, "http_brotli_filter"]})
    rec = rec.model_copy(update={"components": rec.components | {"nginx": more}})
    broken = damaged(rec, "gzip on;", "gzip on;\n    brotli on;")
    (skipped,) = [one for one in results(rec, broken) if one.status == "not_run"]
    assert skipped.lines == ("nginx here has no module brotli",)


def test_what_is_newer_than_this_nginx_is_not_run(here: Here) -> None:
    version = here().components["nginx"].version
    newer = NEW["nginx"].model_copy(update={"version": "9.9.9"})
    rec = advise(NEW | {"nginx": newer}, **TLS, pins={"nginx.http3": True})
    (skipped,) = [one for one in results(rec) if one.status == "not_run"]
    assert version in skipped.lines[0]


def test_an_ordinary_user_gets_the_same_answer(here: Here, as_nobody: Callable[[str], str]) -> None:
    """Without root no port below 1024 is bound: high ones stand in."""
    if find_program("nginx") is None or os.geteuid() != 0:
        return
    document = here(**RICH, **TLS).model_dump_json(by_alias=True)
    code = (
        "from advisor.documents import Recommendation; from advisor.render import check, render\n"
        f"rec = Recommendation.model_validate_json({document!r})\n"
        "for r in check(render(rec), rec):\n"
        "    if r.path.startswith('nginx/'): print(r.status, r.lines, r.stand_ins)\n"
    )
    lines = as_nobody(code).splitlines()
    assert [line for line in lines if not line.startswith("passed")] == []
    assert any("127.0.0.1:20443 for the listener 80" in line for line in lines), lines


def test_the_whole_tree_is_checked(here: Here) -> None:
    rec = here(**TLS, manage=None)
    assert SHOP in {result.path for result in check(render(rec), rec)}
