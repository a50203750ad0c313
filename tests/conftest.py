"""What every test may ask for."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import settings

import advisor
from tests import loopback

if TYPE_CHECKING:
    from collections.abc import Callable

# A deadline is an absolute time, and says more of the machine than of what is tested.
settings.register_profile("advisor", deadline=None)
settings.load_profile("advisor")


def pytest_configure(config: pytest.Config) -> None:
    """Each of several workers has its own loopback; they share one where that is not allowed."""
    if hasattr(config, "workerinput"):
        with contextlib.suppress(PermissionError):
            loopback.own()


@pytest.fixture(scope="session")
def not_run() -> Callable[[str], NoReturn]:
    """Say that a test needs what this machine lacks; under CI that is a failure."""

    def say(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"must run under CI, but: {reason}", pytrace=False)
        pytest.skip(f"not run: {reason}")

    return say


@pytest.fixture
def as_nobody(not_run: Callable[[str], NoReturn]) -> Callable[[str], str]:
    """Run Python code as an ordinary user: another interpreter where ours is out of reach.

    Gives what it printed on standard output.
    """
    if os.geteuid() != 0:
        not_run("only root can become another user")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    checkout = str(Path(advisor.__file__).parents[1])

    def run(code: str) -> str:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        for interpreter in (sys.executable, shutil.which(name, path="/usr/bin:/usr/local/bin")):
            try:
                done = subprocess.run(
                    [str(interpreter), "-c", code],
                    user=65534,
                    group=65534,
                    extra_groups=[],
                    cwd="/",
                    env={"PATH": os.defpath, "PYTHONPATH": ":".join([checkout, *packages])},
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                )
            except PermissionError:
                continue
            assert done.returncode == 0, done.stderr
            return done.stdout
        not_run(f"no {name} that an ordinary user may run")
        raise AssertionError

    return run
