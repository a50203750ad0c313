from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.probe.classes.interpreter import LeftOut, belongs, interpreter
from tests.probe.classes.made import NOBODY, own, server

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Server


def ended() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_the_python_of_a_server_with_its_versions() -> None:
    found = interpreter(own())
    assert Path(found.python).samefile(sys.executable)
    assert found.packages["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert found.packages["gunicorn"]
    assert (found.user, found.group) == (None, None)


def test_a_server_that_has_ended() -> None:
    with pytest.raises(LeftOut, match="has ended"):
        interpreter(server("gunicorn", None, ended()))


@pytest.mark.parametrize("python", ["copy", "missing"])
def test_another_file_than_the_process_runs_is_not_run(tmp_path: Path, python: str) -> None:
    """As in a container, or where the command line names an environment that is not its own."""
    (tmp_path / "bin").mkdir()
    if python == "copy":
        shutil.copy(os.path.realpath(sys.executable), tmp_path / "bin" / "python")
    with pytest.raises(LeftOut, match="not to be found") as caught:
        interpreter(server("gunicorn", tmp_path))
    assert caught.value.remedy


def test_root_runs_no_environment_that_another_could_have_prepared(
    gunicorn_that: Callable[[str], Server], not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give files away")
    made = gunicorn_that("")
    assert interpreter(made)
    (site,) = Path(str(made.virtualenv)).glob("lib/python3*/site-packages")
    os.chown(site, NOBODY, NOBODY)
    with pytest.raises(LeftOut, match="can be changed by others"):
        interpreter(made)


def test_root_becomes_the_user_of_the_server(nobodys: Path, nobodys_process: int) -> None:
    found = interpreter(server("gunicorn", nobodys, nobodys_process))
    assert (found.user, found.group) == (NOBODY, NOBODY)


def test_root_runs_for_another_only_what_is_roots_or_theirs(
    nobodys: Path,
) -> None:
    python = nobodys / "bin" / "python"
    source = python.resolve()
    python.unlink()
    shutil.copy(source, python)
    os.chown(python, NOBODY - 1, NOBODY - 1)
    command = [python, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, user=NOBODY, cwd="/") as process:
        with pytest.raises(LeftOut, match="can be changed by others"):
            interpreter(server("gunicorn", nobodys, process.pid))
        os.chown(python, NOBODY, NOBODY)
        assert interpreter(server("gunicorn", nobodys, process.pid)).user == NOBODY
        process.kill()


def test_an_ordinary_user_runs_nobody_elses(as_nobody: Callable[[str], str]) -> None:
    printed = as_nobody(f"""
from advisor.documents import Server
from advisor.probe.classes.interpreter import LeftOut, interpreter
server = Server(kind="gunicorn", version=None, pid={os.getpid()}, app=None, listen=[],
                worker_class=None, threads=None, workers=[], virtualenv={sys.prefix!r})
try:
    interpreter(server)
except LeftOut as reason:
    print(reason.why, "|", reason.remedy)
""")
    assert printed.strip() == (
        "the server is root's, and only its own user runs its programs | run as root"
    )


def test_what_belongs_to_its_owners(tmp_path: Path) -> None:
    mine = {0, os.geteuid()}
    folder, file = tmp_path / "folder", tmp_path / "folder" / "file"
    folder.mkdir()
    file.touch(0o600)
    (tmp_path / "link").symlink_to(file)
    assert belongs(file, mine)
    assert belongs(tmp_path / "link", mine)
    assert not belongs(file, {NOBODY})
    assert not belongs(folder / "missing", mine)
    file.chmod(0o620)
    assert not belongs(file, mine)
    file.chmod(0o600)
    folder.chmod(0o777)
    assert not belongs(file, mine)
    assert not belongs(tmp_path / "link", mine)
    folder.chmod(0o1777)
    assert belongs(file, mine)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert not belongs(tmp_path / "circle", mine)
