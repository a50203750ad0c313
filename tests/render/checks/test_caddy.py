"""Caddy's checks of its files, and what ours see that those let through."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.files import write_document
from advisor.render import check, render
from advisor.render.checks import result as result_module
from tests.render.live_caddy.site import VERSIONS, Program, advise, programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

pytestmark = pytest.mark.daemon

SITE, HOST, BALANCER = "caddy/shop.caddy", "caddy/Caddyfile", "load_balancer/shop.caddy"
KEYS: dict[str, Any] = {
    "domain": "shop.example",
    "tls": {"certificate": "/etc/ssl/shop.pem", "key": "/etc/ssl/shop.key"},
    "static": {"/static/": "/srv/shop/static"},
    "routes": {"/ws": "websocket", "/events": "stream"},
    "limits": {"request_body": "10M"},
}
HOSTS = {"hosts": ["10.0.0.11:8000", "10.0.0.12:8000"]}
PLACES: list[dict[str, Any]] = [
    {},
    KEYS,
    KEYS | {"tls": {"acme": True}},
    KEYS | {"tls": None},
    KEYS | HOSTS,
    KEYS | {"domain": "*.shop.example"},
    KEYS | {"manage": ["proxy", "default-server", "monitoring"], "listen": "[::1]:8000"},
]


@pytest.fixture(params=VERSIONS)
def program(
    request: pytest.FixtureRequest,
    not_run: Callable[[str], NoReturn],
    monkeypatch: pytest.MonkeyPatch,
) -> Program:
    """Each Caddy in turn as the one that is found."""
    found = programs()
    if request.param not in found:
        not_run(f"Caddy {request.param} is not here: scripts/daemons.sh, or ADVISOR_CADDY")
    monkeypatch.setenv("PATH", f"{Path(found[request.param].path).parent}:{os.environ['PATH']}")
    return found[request.param]


def of_caddy(results: list[CheckResult]) -> list[CheckResult]:
    return [each for each in results if each.path.startswith(("caddy/", "load_balancer/"))]


def checked(rec: Recommendation, files: list[File] | None = None) -> list[CheckResult]:
    return of_caddy(check(files or theirs(rec), rec))


def theirs(rec: Recommendation) -> list[File]:
    return [each for each in render(rec) if each.path.startswith(("caddy/", "load_balancer/"))]


def failures(results: list[CheckResult]) -> list[str]:
    return [line for result in results if result.status == "failed" for line in result.lines]


def damaged(rec: Recommendation, path: str, old: str, new: str) -> list[File]:
    files = theirs(rec)
    (victim,) = (file for file in files if file.path == path)
    assert old.encode() in victim.content, f"{old!r} is not in {path}"
    changed = replace(victim, content=victim.content.replace(old.encode(), new.encode(), 1))
    return [changed if file is victim else file for file in files]


def line_of(files: list[File], path: str, text: str) -> int:
    (file,) = (file for file in files if file.path == path)
    lines = file.content.decode().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize("keys", PLACES, ids=range(len(PLACES)))
def test_what_is_rendered_passes(program: Program, keys: dict[str, Any]) -> None:
    rec = advise(program.version, **keys)
    results = checked(rec)
    assert failures(results) == []
    assert {each.status for each in results} == {"passed"}
    assert {each.path for each in results} == {each.path for each in theirs(rec)}
    has_stand_in = keys.get("tls") == KEYS["tls"]
    assert any(each.stand_ins for each in results) == has_stand_in


# What a hand may do to the files, where, and what the failure says of it.
DAMAGES: dict[str, tuple[str, str, str, str]] = {
    "unknown directive": (SITE, "file_server", "file_sever", "file_sever"),
    "unknown option": (HOST, "grace_period", "grace_perod", "grace_perod"),
    "unknown subdirective": (SITE, "dial_timeout", "dial_timout", "dial_timout"),
    "no number": (SITE, "keepalive_idle_conns_per_host ", "keepalive_idle_conns_per_host x", "x"),
    "open brace": (SITE, "\thandle {", "\thandle", "'}'"),
    "not formatted": (SITE, "\t\tformat json", "\tformat json", "caddy fmt"),
    "Caddyfile not formatted": (HOST, "\tservers {", "servers {", "caddy fmt"),
    "other upstream": (SITE, "unix//run/shop/shop.sock", "127.0.0.1:9", "127.0.0.1:9"),
    "other folder": (SITE, "root * /srv/shop/static", "root * /etc", "/etc"),
    "listing": (SITE, "\tfile_server", "\tfile_server browse", "listed"),
    "placeholder": (SITE, "{http.request.uuid}", "{http.request.uid}", "http.request.uid"),
    "environment": (
        SITE,
        "to unix//run/shop/shop.sock",
        "to {$UPSTREAM:unix//run/shop/shop.sock}",
        "environment",
    ),
    "trust": (
        SITE,
        "\theader_up X-Real-IP",
        "\ttrusted_proxies 0.0.0.0/0\n\theader_up X-Real-IP",
        "0.0.0.0/0",
    ),
    "open admin": (HOST, "admin localhost:2019", "admin 0.0.0.0:2019", "0.0.0.0:2019"),
    "no import": (
        HOST,
        "import /etc/caddy/conf.d/*.caddy",
        "",
        "nothing is served for shop.example",
    ),
    "other name": (SITE, "https://shop.example {", "https://evil.example {", "evil.example"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_named(program: Program, damage: str) -> None:
    path, old, new, says = DAMAGES[damage]
    rec = advise(program.version, **KEYS)
    lines = failures(checked(rec, damaged(rec, path, old, new)))
    assert any(says in line for line in lines), lines
    assert all(line.startswith(("caddy/", "load_balancer/")) for line in lines), lines


@pytest.mark.parametrize(
    "damage", ["unknown directive", "other upstream", "environment", "placeholder"]
)
def test_and_its_line(program: Program, damage: str) -> None:
    path, old, new, says = DAMAGES[damage]
    rec = advise(program.version, **KEYS)
    files = damaged(rec, path, old, new)
    number = line_of(files, path, new)
    lines = failures(checked(rec, files))
    assert any(line.startswith(f"{path}:{number}: ") and says in line for line in lines), lines


def test_the_load_balancers_files_are_judged_by_themselves(program: Program) -> None:
    rec = advise(program.version, **KEYS, **HOSTS)
    files = damaged(rec, BALANCER, "to 10.0.0.12:8000", "to 10.0.0.99:8000")
    lines = failures(checked(rec, files))
    assert lines
    assert all(line.startswith(f"{BALANCER}") for line in lines), lines
    assert any("10.0.0.99:8000" in line for line in lines)
    assert any("10.0.0.12:8000" in line for line in lines)


@pytest.mark.usefixtures("program")
def test_a_checker_of_another_version_does_not_speak_for_the_target() -> None:
    rec = advise("2.4.6")
    (result,) = {(each.status, each.lines) for each in checked(rec)}
    assert result[0] == "not_run"
    assert "2.4.6" in result[1][0]
    assert {each.status for each in checked(advise(None))} == {"passed"}


def test_modules_that_are_not_here_are_not_judged(program: Program) -> None:
    rec = advise(
        program.version,
        modules=["http.handlers.rate_limit"],
        limits={"rate_per_client_rps": 20},
    )
    assert {each.status for each in checked(rec)} == {"not_run"}
    assert all("http.handlers.rate_limit" in each.lines[0] for each in checked(rec))


def test_a_checker_that_is_not_installed_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_module, "SBIN", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    assert {each.status for each in checked(advise("2.6.2"))} == {"not_run"}


def test_a_check_leaves_nothing_behind_and_opens_no_log(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    name = f"test-{os.getpid()}"
    rec = advise(program.version, app={"name": name, "module": "m:app", "interface": "wsgi"})
    assert failures(checked(rec)) == []
    assert list(tmp_path.iterdir()) == []
    assert not list(Path("/var/log/caddy").glob(f"{name}*"))


def test_an_ordinary_user_gets_the_same_answer(
    program: Program, as_nobody: Callable[[str], str], tmp_path: Path
) -> None:
    rec = advise(program.version, **KEYS)
    document = tmp_path / "rec.json"
    write_document(rec, document)
    text = document.read_text()
    code = (
        "import os\n"
        f"os.environ['PATH'] = {os.environ['PATH']!r}\n"
        "from advisor.documents import Recommendation\n"
        "from advisor.render import check, render\n"
        f"rec = Recommendation.model_validate_json({text!r})\n"
        "files = [f for f in render(rec) if f.path.startswith('caddy/')]\n"
        "for r in check(files, rec): print(r.path, r.status, r.lines)\n"
    )
    told = as_nobody(code)
    assert f"{SITE} passed" in told or f"{SITE} not_run" in told
    assert "failed" not in told
