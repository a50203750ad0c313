"""Who checks: which Gunicorn, nginx and systemd, as whom, and what they leave behind."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.render import check, render
from advisor.render.checks import result as result_module

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


def failures(results: list[CheckResult]) -> list[str]:
    return [line for result in results if result.status == "failed" for line in result.lines]


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
        "systemd/sysusers.conf",
        "systemd/tmpfiles.conf",
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


def test_nothing_is_imported_from_the_working_directory(
    here: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    for name in ("gunicorn", "shop", "uvicorn_worker"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rec = here()
    assert failures(check(render(rec), rec)) == []
    assert not trace.exists()


def test_the_app_is_not_imported_where_it_is_installed(here: Make, target: Path) -> None:
    trace = target / "imported"
    package = next(target.glob("lib/python*/site-packages")) / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(f"open({str(trace)!r}, 'w')\n")
    (package / "main.py").write_text("app = None\nclass Worker: ...\n")
    rec = here(
        intent={"app.virtualenv": str(target)},
        settings={"gunicorn.worker_class": "shop.main.Worker"},
    )
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
            subprocess.run([candidate, "-c", ""], check=True, **user)
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
    analyze = [str(result_module.find_program("systemd-analyze")), "security", "--offline=true"]
    # It ends with 1 where the exposure, times ten, is over the threshold.
    done = subprocess.run(
        [*analyze, "--threshold=15", tmp_path / "shop.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Overall exposure level for shop.service" in done.stdout
    assert done.returncode == 0, done.stdout[-200:]


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


def test_a_drop_in_of_this_host_is_not_read(make: Make, not_run: Callable[[str], NoReturn]) -> None:
    if os.geteuid() != 0:
        not_run("only root can add a drop-in")
    name = f"advisor-test-{os.getpid()}"
    folder = Path(f"/run/systemd/system/{name}.service.d")
    rec = make(app={"name": name}, intent={"app.name": name}, components={"systemd": "absent"})
    made = not folder.parent.exists()
    folder.mkdir(parents=True)
    try:
        (folder / "theirs.conf").write_text("[Service]\nNoSuchKey=1\n")
        assert failures(check(render(rec), rec)) == []
    finally:
        shutil.rmtree(folder)
        if made:
            folder.parent.rmdir()
