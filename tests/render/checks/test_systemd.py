"""systemd's own programs on what is rendered, and on what is damaged."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from advisor.render import render
from advisor.render.checks import result as result_module
from advisor.render.checks import systemd
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

pytestmark = pytest.mark.daemon

SERVICE = "systemd/shop.service"
SOCKET = "systemd/shop.socket"
SLICE = "systemd/system-shop.slice"
SYSUSERS = "systemd/sysusers.conf"
TMPFILES = "systemd/tmpfiles.conf"
DROPIN = "systemd/shop-web.service.d/advisor.conf"
BESIDE = {"systemd.mode": "dropin", "systemd.unit": "shop-web.service"}
WORKERS = {
    "manage": ["server", "proxy", "systemd", "workers"],
    "background.celery": {"app": "shop.tasks:app", "kind": "cpu"},
}
LIMITS = {
    "systemd.timeout_start_sec": 120,
    "systemd.restart_sec": 3,
    "systemd.oom_policy": "continue",
    "systemd.tasks_max": 512,
    "systemd.cpu_weight": 100,
    "systemd.cpu_quota": 150,
}
LOCKS = {"systemd.memory_deny_write_execute": True, "systemd.proc_subset": "pid"}


@pytest.fixture(autouse=True)
def _programs(not_run: Callable[[str], NoReturn]) -> None:
    for name in ("systemd-analyze", "systemd-sysusers", "systemd-tmpfiles"):
        if result_module.find_program(name) is None:
            not_run(f"{name} is not installed")


def check(files: Sequence[File], rec: Recommendation) -> list[CheckResult]:
    theirs = [file for file in files if file.output and file.output.checker == "systemd"]
    return systemd.check(theirs, inputs_of(rec))


def exposure(results: Sequence[CheckResult], path: str = SERVICE) -> CheckResult:
    (one,) = (each for each in results if each.path == path and each.check.startswith("exposure"))
    return one


VARIANTS: list[dict[str, Any]] = [
    {},
    {"settings": LIMITS | LOCKS},
    {"intent": {"listen": "127.0.0.1:8000"}},
    {"intent": {"listen": "[fd00::5]:8000"}},
    {"intent": {"proxy": "caddy"}},
    {"intent": {"proxy": "none"}},
    {"intent": {"proxy": "none", "listen": "0.0.0.0:80", "server": "granian"}},
    {"intent": {"manage": ["systemd"]}},
    {"intent": {"app.user": "ann", "app.directory": "/home/ann/shop"}},
    {"intent": {"app.virtualenv": "/tmp/venv", "app.writable": ["/tmp/x", "/srv/a/b/c"]}},
    {"intent": {"app.virtualenv": None, "app.directory": None, "app.writable": None}},
    {"intent": {"systemd.mode": "unit", "systemd.unit": "Web_1@eu.service"}},
    {"intent": WORKERS, "settings": LIMITS},
    {"intent": BESIDE, "settings": LIMITS | LOCKS},
    {"intent": BESIDE | {"manage": ["systemd"]}, "settings": LIMITS},
    {"intent": BESIDE | {"systemd.unit": "web@.service"}},
    {"intent": BESIDE | {"systemd.unit": "web@1.service", "server": "granian"}},
    *({"intent": {"server": server}} for server in ("uvicorn", "hypercorn", "granian")),
    *({"intent": BESIDE | {"server": server}} for server in ("uvicorn", "hypercorn", "granian")),
]


@pytest.mark.parametrize("changes", VARIANTS)
def test_what_is_rendered_passes(here: Make, changes: dict[str, Any]) -> None:
    rec = here(**changes)
    files = render(rec)
    results = check(files, rec)
    assert [result for result in results if result.status != "passed"] == []
    checked = {file.path for file in files if file.output and file.output.checker == "systemd"}
    assert {result.path for result in results} == checked


@pytest.mark.parametrize(
    ("changes", "path", "old", "new", "said"),
    [
        ({}, SERVICE, "ProtectProc=", "ProtectPorc=", "Unknown key 'ProtectPorc'"),
        ({}, SERVICE, "Restart=always", "Restart=alwys", "alwys"),
        ({}, SERVICE, "@privileged", "@priviliged", "@priviliged"),
        ({}, SERVICE, "/bin/kill", "/bin/kil", "/bin/kil is no program that the app needs"),
        ({}, SERVICE, "User=shop", "User=root", "User=root is nobody the app needs"),
        ({}, SOCKET, "SocketGroup=www-data", "SocketGroup=users", "nobody the app needs"),
        ({}, SYSUSERS, "u shop -", "u shop -x", "-x"),
        ({}, SYSUSERS, "u shop", "u root", "user root is nobody the app needs"),
        ({}, TMPFILES, ":0750", ":0950", "0950"),
        ({}, TMPFILES, ":shop :shop", ":shop :shpo", "group shpo is nobody the app needs"),
        ({}, TMPFILES, "d /srv/shop/uploads", "x /srv/shop/uploads", "is no folder"),
        ({"intent": WORKERS}, SERVICE, "Slice=system-shop", "Slice=user", "no slice of this app"),
        (
            {"intent": WORKERS, "settings": LIMITS},
            *(SLICE, "CPUQuota=150%", "CPUQota=150%", "Unknown key 'CPUQota'"),
        ),
        (
            {"intent": BESIDE, "settings": LIMITS},
            *(DROPIN, "TasksMax=", "TaskMax=", "Unknown key 'TaskMax'"),
        ),
        ({"intent": BESIDE}, DROPIN, "bin/gunicorn", "bin/gunicron", "not executable"),
        ({"intent": BESIDE}, DROPIN, "ExecStart=\n", "", "more than one ExecStart="),
    ],
)
def test_damage_is_caught_with_file_and_words(
    here: Make,
    damage: Damage,
    changes: dict[str, Any],
    path: str,
    old: str,
    new: str,
    said: str,
) -> None:
    rec = here(**changes)
    results = check(damage(render(rec), path, old, new), rec)
    lines = [line for each in results if each.status == "failed" for line in each.lines]
    assert any(line.startswith(path) and said in line for line in lines), lines


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn", "hypercorn", "granian"])
def test_the_service_exposes_little(here: Make, server: str) -> None:
    rec = here(intent={"server": server})
    one = exposure(check(render(rec), rec))
    assert one.status == "passed"
    assert 0 < float(one.check.split()[1]) <= systemd.MOST_EXPOSED


def test_a_lock_that_is_missing_is_a_failure_that_names_it(here: Make, damage: Damage) -> None:
    rec = here()
    files = damage(render(rec), SERVICE, "RestrictNamespaces=yes\n", "")
    files = damage(files, SERVICE, "PrivateDevices=yes\n", "")
    one = exposure(check(files, rec))
    assert one.status == "failed"
    assert "above 1.5" in one.lines[0]
    assert "PrivateDevices=" in one.lines[0]


def test_what_an_intent_opens_has_a_bound_too(here: Make, damage: Damage) -> None:
    opened = {"app.directory": "/home/ann/shop", "app.virtualenv": "/tmp/venv"}
    rec = here(intent=opened | {"server": "granian", "listen": "0.0.0.0:80"})
    files = render(rec)
    assert exposure(check(files, rec)).status == "passed"
    files = damage(files, SERVICE, "RestrictNamespaces=yes\n", "")
    assert exposure(check(files, rec)).status == "failed"


@pytest.mark.parametrize(
    ("intent", "said"),
    [
        ({"app.directory": "/home/ann/shop"}, "opened for a home folder"),
        ({"app.virtualenv": "/tmp/venv"}, "opened for an app under /tmp"),
        ({"server": "granian", "listen": "0.0.0.0:80"}, "opened for a port below 1024"),
    ],
)
def test_where_the_intent_opens_the_sandbox_it_is_said(
    here: Make, intent: dict[str, Any], said: str
) -> None:
    rec = here(intent=intent)
    one = exposure(check(render(rec), rec))
    assert one.status == "passed"
    assert said in one.check


def test_what_is_not_there_is_a_stand_in(here: Make) -> None:
    rec = here(intent=BESIDE | {"app.user": "nobody-here"})
    stand_ins = [name for each in check(render(rec), rec) for name in each.stand_ins]
    assert "the unit shop-web.service" in stand_ins
    assert "an executable for /srv/shop/venv/bin/gunicorn" in stand_ins
    assert "the user nobody-here, which is not on this host" in stand_ins


def test_another_version_does_not_speak_for_the_target(make: Make) -> None:
    rec = make(components={"systemd": "999"})
    skipped = {each.path for each in check(render(rec), rec) if each.status == "not_run"}
    assert skipped == {SERVICE, SOCKET, SYSUSERS, TMPFILES}


@pytest.mark.parametrize(
    ("body", "loads"), [("app = print\n", True), ("import nothing_here\n", False)]
)
def test_an_app_that_does_not_load_gets_no_signal(
    here: Make, tmp_path: Path, body: str, loads: bool
) -> None:
    """The first ExecReload of the unit, whose failure keeps systemd from the second."""
    (tmp_path / "trial_app.py").write_text(body)
    rec = here(
        app={"module": "trial_app:app"},
        intent={"app.module": "trial_app:app", "app.virtualenv": sys.prefix},
        settings={"gunicorn.worker_class": "gthread"},
    )
    rendered = {file.path: file.content.decode() for file in render(rec)}
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text(rendered["gunicorn/gunicorn.conf.py"])
    reload_ = next(
        line.partition("=")[2]
        for line in rendered[SERVICE].split("\n")
        if line.startswith("ExecReload=")
    )
    words = reload_.replace(
        "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py", str(conf)
    ).split()
    assert words[0] == f"{sys.prefix}/bin/gunicorn"
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", *words[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is loads, done.stderr
