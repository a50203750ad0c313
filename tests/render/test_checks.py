"""Each check passes on what is rendered, and catches what is damaged.

Real Gunicorn, nginx and systemd-analyze. A mutation that a check would not see fails here.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.render import check, render
from advisor.render.checks import result as result_module
from advisor.render.checks import systemd as systemd_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

pytestmark = pytest.mark.daemon

CONF = "gunicorn/gunicorn.conf.py"
NGINX = "nginx/shop.conf"
SERVICE = "systemd/shop.service"
SOCKET = "systemd/shop.socket"
NOBODY = 65534


@pytest.fixture(autouse=True)
def _daemons(not_run: Callable[[str], NoReturn]) -> None:
    for name in ("nginx", "systemd-analyze"):
        if result_module.find_program(name) is None:
            not_run(f"{name} is not installed")


def words(name: str, *arguments: str) -> str:
    command = [str(result_module.find_program(name)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.fixture
def here(make: Make) -> Callable[..., Recommendation]:
    """A recommendation whose target has the daemons' versions of this machine."""

    versions = {
        "gunicorn": importlib.metadata.version("gunicorn"),
        "nginx": words("nginx", "-v").partition("/")[2].split()[0],
        "systemd": words("systemd-analyze", "--version").split()[1],
    }

    def make_here(**changes: Any) -> Recommendation:
        return make(**{"components": versions} | changes)

    return make_here


def failures(results: list[CheckResult]) -> list[str]:
    return [line for result in results if result.status == "failed" for line in result.lines]


def test_what_is_rendered_passes_every_check(here: Make) -> None:
    rec = here()
    results = check(render(rec), rec)
    assert [result for result in results if result.status != "passed"] == []
    assert {result.path for result in results} == {CONF, NGINX, SERVICE, SOCKET}


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": {"listen": "[::1]:8000", "domain": None}},
        {"intent": {"listen": "127.0.0.1:8000"}},
        {"intent": {"app.directory": "/home/ann/shop", "app.virtualenv": "/tmp/venv"}},
        {"intent": {"app.virtualenv": None, "app.directory": None, "app.writable": None}},
        {"intent": {"manage": ["systemd"]}},
        {"intent": {"domain": "*.shop.example", "app.environment": {"A": "x=%y".replace("%", "")}}},
        {"settings": {"gunicorn.worker_class": "gthread", "gunicorn.threads": 64}},
        {"settings": {"gunicorn.worker_class": "sync", "nginx.upstream_keepalive": None}},
        {"settings": {"gunicorn.worker_class": "asgi"}},
    ],
)
def test_variants_pass_every_check(here: Make, changes: dict[str, Any]) -> None:
    rec = here(**changes)
    results = check(render(rec), rec)
    assert [result for result in results if result.status != "passed"] == []


@pytest.mark.parametrize(
    ("path", "old", "new", "said"),
    [
        (CONF, "workers = 2", "wrokers = 2", "knows no setting wrokers; did you mean workers?"),
        (CONF, "workers = 2", 'workers = "2"', "workers should be a whole number"),
        (CONF, "workers = 2", "workers = True", "workers should be a whole number"),
        (CONF, "workers = 2", "workers = -1", "workers: Value must be positive"),
        (CONF, "workers = 2", "import os; workers = 2", "only NAME = CONSTANT"),
        (CONF, "workers = 2", "workers = 1 + 1", "workers is no constant"),
        (CONF, "workers = 2", "workers = ", "invalid syntax"),
        (CONF, "control_socket_disable = True", "control_socket_disable = 1", "True or False"),
        (CONF, "uvicorn_worker.UvicornWorker", "uvicorn_worker.UvicronWorker", "UvicronWorker"),
        (CONF, "uvicorn_worker.UvicornWorker", "gthraed", "gthraed"),
        (CONF, '"shop.main:app"', '"shop.main:app.other"', "Failed to parse"),
        (NGINX, "keepalive 64;", "kepalive 64;", 'unknown directive "kepalive"'),
        (NGINX, "proxy_buffering on", "proxy_buffering maybe", "proxy_buffering"),
        (NGINX, "http://shop_app", "http://shop_ap", "host not found in upstream"),
        (NGINX, "listen 80;", "listen 99999;", "invalid port"),
        (NGINX, "server_name", "}\nserver_name", "server_name"),
        (NGINX, "keepalive_timeout 60s;", "keepalive_timeout 60s", "unexpected"),
        (NGINX, "listen 80;", "listen 80; listen 80;", "duplicate listen"),
        (SERVICE, "NoNewPrivileges=", "NoNewPrivilges=", "Unknown key 'NoNewPrivilges'"),
        (SERVICE, "@system-service", "@system-servcie", "@system-servcie"),
        (SERVICE, "/srv/shop/venv/bin/gunicorn", "/srv/shop/venv/bin/gunicrn", "not executable"),
        (SERVICE, "KillMode=mixed", "KillMode=some", "kill mode specification"),
        (SERVICE, "[Service]", "[Servcie]", "Servcie"),
        (SERVICE, "User=shop", "User=other", "User=other is nobody the app needs"),
        (SERVICE, "WorkingDirectory=/srv/shop", "WorkingDirectory=srv", "WorkingDirectory"),
        (SERVICE, "Requires=shop.socket", "Requires=shp.socket", "shp.socket"),
        (SOCKET, "Backlog=2048", "Bakclog=2048", "Unknown key 'Bakclog'"),
        (SOCKET, "ListenStream=", "ListenSteam=", "ListenSteam"),
        (SOCKET, "SocketGroup=www-data", "SocketGroup=www-date", "www-date"),
        (SOCKET, "SocketMode=0660", "SocketMode=0999", "mode value"),
    ],
)
def test_damage_is_caught_with_file_and_words(
    here: Make, damage: Damage, path: str, old: str, new: str, said: str
) -> None:
    rec = here()
    lines = failures(check(damage(render(rec), path, old, new), rec))
    about = [line for line in lines if line.startswith(path)]
    assert any(said in line for line in about), lines


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (CONF, "workers = 2", "wrokers = 2"),
        (NGINX, "keepalive 64;", "kepalive 64;"),
        (SERVICE, "NoNewPrivileges=", "NoNewPrivilges="),
        (SOCKET, "Backlog=2048", "Bakclog=2048"),
    ],
)
def test_a_failure_names_the_line(
    here: Make, damage: Damage, path: str, old: str, new: str
) -> None:
    rec = here()
    damaged = damage(render(rec), path, old, new)
    text = next(file.content.decode() for file in damaged if file.path == path)
    number = 1 + next(i for i, line in enumerate(text.splitlines()) if new in line)
    assert any(line.startswith(f"{path}:{number}: ") for line in failures(check(damaged, rec)))


@pytest.mark.parametrize(
    ("component", "version", "check_name"),
    [("gunicorn", "20.1.0", CONF), ("nginx", "1.14.2", NGINX), ("systemd", "200", SERVICE)],
)
def test_a_checker_of_another_version_does_not_speak_for_the_target(
    make: Make, component: str, version: str, check_name: str
) -> None:
    unknown = dict.fromkeys(("gunicorn", "nginx", "systemd"), "absent")
    rec = make(components=unknown | {component: version})
    results = [result for result in check(render(rec), rec) if result.path == check_name]
    (skipped,) = [result for result in results if result.status == "not_run"]
    assert version in skipped.lines[0]


def test_a_checker_that_is_not_installed_is_not_run(
    here: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(result_module, "SBIN", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    rec = here()
    results = check(render(rec), rec)
    assert {result.path for result in results if result.status == "not_run"} == {
        NGINX,
        SERVICE,
        SOCKET,
    }


def test_nginx_is_found_where_an_ordinary_path_does_not_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert result_module.find_program("nginx") is not None


def test_a_port_in_use_is_no_fault_of_the_file(here: Make) -> None:
    rec = here(intent={"domain": None})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        files = [
            file.__class__(
                file.path,
                file.content.replace(b"127.0.0.1:8080", b"127.0.0.1:%d" % port),
                file.output,
            )
            for file in render(rec)
        ]
        assert failures(check(files, rec)) == []


def test_a_check_leaves_nothing_behind(
    here: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rec = here()
    check(render(rec), rec)
    assert list(tmp_path.iterdir()) == []


def test_the_app_is_not_imported(
    here: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    trace = tmp_path / "imported"
    (tmp_path / "shop" / "main.py").write_text(f"open({str(trace)!r}, 'w')\napp = None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rec = here(settings={"gunicorn.worker_class": "shop.main.Worker"})
    results = check(render(rec), rec)
    assert not trace.exists()
    (skipped,) = [result for result in results if result.status == "not_run"]
    assert skipped.check == "worker class"


def test_what_the_environment_says_to_gunicorn_is_not_heard(
    here: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--no-such-option")
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    rec = here()
    assert failures(check(render(rec), rec)) == []


def test_a_worker_class_missing_beside_a_gunicorn_not_the_targets_is_not_run(here: Make) -> None:
    rec = here(settings={"gunicorn.worker_class": "no_such_package.Worker"})
    results = check(render(rec), rec)
    (skipped,) = [result for result in results if result.status == "not_run"]
    assert "no_such_package" in skipped.lines[0]


@pytest.fixture
def public_python(not_run: Callable[[str], NoReturn]) -> str:
    """A Python of our version that everybody may run: ours may live in root's home."""
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            subprocess.run([candidate, "-c", ""], check=True, **user)  # type: ignore[call-overload]
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return not_run("no Python that an ordinary user may run")


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A folder that everybody may read; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def target(public_path: Path, public_python: str) -> Path:
    """A virtual environment with our Gunicorn and without uvicorn-worker."""
    folder = public_path / "venv"
    subprocess.run([public_python, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in ("gunicorn", "packaging"):
        source = Path(__import__(name).__file__ or "").parent
        shutil.copytree(source, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    script = folder / "bin" / "gunicorn"
    script.write_text(
        f"#!{folder}/bin/python\nfrom gunicorn.app.wsgiapp import run\nrun()\n", encoding="utf-8"
    )
    script.chmod(0o755)
    return folder


def test_the_apps_own_virtual_environment_decides(here: Make, target: Path) -> None:
    rec = here(intent={"app.virtualenv": str(target), "app.directory": None})
    lines = failures(check(render(rec), rec))
    assert any("uvicorn_worker" in line for line in lines), lines
    sync = here(
        intent={"app.virtualenv": str(target)}, settings={"gunicorn.worker_class": "gthread"}
    )
    assert failures(check(render(sync), sync)) == []


def test_root_runs_another_users_python_only_as_that_user(
    here: Make, target: Path, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give a file away")
    tell = target / "uid"
    site = next(target.glob("lib/python*/site-packages"))
    (site / "tell.pth").write_text(
        f"import os; open({str(tell)!r}, 'a').write(f'{{os.getuid()}} ')\n"
    )
    for path in (target, *target.rglob("*")):
        os.lchown(path, NOBODY, NOBODY)
    rec = here(
        intent={"app.virtualenv": str(target)}, settings={"gunicorn.worker_class": "gthread"}
    )
    assert failures(check(render(rec), rec)) == []
    assert set(tell.read_text().split()) == {str(NOBODY)}


def test_an_ordinary_user_gets_the_same_answer(
    here: Make, public_path: Path, public_python: str, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can become another user")
    rec = here()
    report = _check_as_nobody(rec, public_path, public_python)
    assert "failed" not in report
    assert f"{NGINX} passed" in report
    assert f"{SERVICE} passed" in report


def _check_as_nobody(rec: Recommendation, folder: Path, python: str) -> str:
    from advisor.files import write_document  # noqa: PLC0415 - only this test writes one

    document = folder / "rec.json"
    write_document(rec, document)
    code = (
        "import sys; from pathlib import Path\n"
        "from advisor.documents import Recommendation; from advisor.files import read\n"
        "from advisor.render import check, render\n"
        "rec = read(Recommendation, Path(sys.argv[1]))\n"
        "for r in check(render(rec), rec): print(r.path, r.status, r.lines)\n"
    )
    done = subprocess.run(
        [python, "-B", "-c", code, str(document)],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"},
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_service_exposes_little(here: Make, tmp_path: Path) -> None:
    for file in render(here()):
        if file.output and file.output.checker == "systemd":
            (tmp_path / Path(file.path).name).write_bytes(file.content)
    unit = str(tmp_path / "shop.service")
    # It ends with 1 where the exposure, times ten, is over the threshold.
    told = words("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
    assert "Overall exposure level for shop.service" in told


def test_a_hanging_checker_is_a_failure(
    here: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "systemd-analyze"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "systemd 252" || exec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(result_module, "TIMEOUT_S", 0.2)
    rec = here(intent={"manage": ["systemd"]})
    assert any("no answer within" in line for line in failures(check(render(rec), rec)))


def test_no_drop_in_or_unit_of_this_host_is_read(here: Make) -> None:
    names = {path.name for path in Path("/lib/systemd/system").glob("*.target")}
    rec = here()
    assert {f"{target}.target" for target in systemd_check.TARGETS} <= names
    results = check(render(rec), rec)
    assert not failures(results)
