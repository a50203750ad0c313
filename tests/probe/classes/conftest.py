"""Environments to calibrate, and a cache that is nobody's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.probe.classes import made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import Server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache file, another one in every test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "advisor" / "classes.json"


@pytest.fixture(autouse=True)
def tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others who use the CPU: these tests look at what is run, not at how fast it was."""
    monkeypatch.setattr("advisor.probe.classes.measure.FULL", 2.0)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made: nothing may be left in it."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def gunicorn_that(tmp_path: Path) -> Callable[[str], Server]:
    """A server whose environment has a Gunicorn that is nothing but `code`."""

    def make(code: str) -> Server:
        virtualenv = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", virtualenv], check=True)
        made.gunicorn(virtualenv, code)
        return made.server("gunicorn", virtualenv)

    return make


@pytest.fixture
def nobodys(not_run: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A virtual environment that every user may use, with the Python of the system."""
    if os.geteuid() != 0:
        not_run("only root can become another user")
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = shutil.which(name, path="/usr/bin:/usr/local/bin")
    if python is None:
        not_run(f"no {name} that an ordinary user may run")
    folder = Path(tempfile.mkdtemp(prefix="open-"))
    folder.chmod(0o755)
    make = [str(python), "-m", "venv", "--without-pip", str(folder / "venv")]
    try:
        if subprocess.run(make, capture_output=True, check=False).returncode:
            not_run(f"{python} makes no virtual environments")
        yield folder / "venv"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def nobodys_process(nobodys: Path) -> Iterator[int]:
    """The PID of a process of that environment, run by nobody."""
    with subprocess.Popen(
        [nobodys / "bin" / "python", "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        cwd="/",
        user=made.NOBODY,
        group=made.NOBODY,
        extra_groups=[],
    ) as process:
        yield process.pid
        process.kill()
