"""A server's own socket, in the folder that the real systemd-tmpfiles makes: who may open it."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.render import render
from advisor.render.checks.result import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon

APP, PROXY, STRANGER = 65534, 65533, 65532
PROXY_GROUP = 65531
DEADLINE_S = 20
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"


@pytest.fixture
def python(not_run: Callable[[str], NoReturn]) -> list[str]:
    """An interpreter of our version that an ordinary user may run, with our packages."""
    if os.geteuid() != 0:
        not_run("only root can become other users")
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            command = [candidate, "-c", "import granian"]
            subprocess.run(command, check=True, capture_output=True, **_as(STRANGER))
            return [candidate]
    return not_run("no Python with Granian that an ordinary user may run")


def _as(uid: int, gid: int = APP) -> dict[str, object]:
    packages = ":".join(path for path in sys.path if path.endswith("site-packages"))
    environment = {"PATH": os.defpath, "PYTHONPATH": packages}
    return {"user": uid, "group": gid, "extra_groups": [], "env": environment, "cwd": "/"}


@pytest.fixture
def root(make: Make, not_run: Callable[[str], NoReturn]) -> Iterator[Path]:
    """A root with what tmpfiles.d makes there, and accounts for the names in it."""
    if find_program("systemd-tmpfiles") is None:
        not_run("systemd-tmpfiles is not installed")
    rec = make(intent={"server": "granian", "app.writable": None})
    conf = next(file for file in render(rec) if file.path == "systemd/tmpfiles.conf")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "etc").mkdir()
        (folder / "etc" / "passwd").write_text(f"shop:x:{APP}:{APP}::/:/bin/false\n")
        (folder / "etc" / "group").write_text(f"www-data:x:{PROXY_GROUP}:\n")
        (folder / "tmpfiles.conf").write_bytes(conf.content)
        command = [str(find_program("systemd-tmpfiles")), "--create", f"--root={folder}"]
        subprocess.run([*command, folder / "tmpfiles.conf"], check=True)
        (folder / "served.py").write_text(WSGI)
        yield folder


@pytest.fixture
def served(make: Make, python: list[str], root: Path) -> Iterator[Path]:
    """Granian as the app's user, by the unit's own words; the path of its socket."""
    rec = make(
        app={"module": "served:app", "interface": "wsgi"},
        intent={"app.module": "served:app", "app.interface": "wsgi", "server": "granian"},
    )
    service = next(file for file in render(rec) if file.path == "systemd/shop.service")
    line = next(
        line for line in service.content.decode().split("\n") if line.startswith("ExecStart=")
    )
    words = line.replace("/run/shop", f"{root}/run/shop").split()[1:]
    how = _as(APP) | {"cwd": str(root)}
    process = subprocess.Popen([*python, "-m", "granian", *words], **how)
    path = root / "run" / "shop" / "shop.sock"
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not (path.exists() and opens(python, path, APP)):
            assert process.poll() is None
            assert time.monotonic() < deadline, "Granian does not answer"
            time.sleep(0.05)
        yield path
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def opens(python: list[str], path: Path, uid: int, gid: int = APP) -> bool:
    command = [*python, "-c", CONNECT, str(path)]
    done = subprocess.run(command, check=False, capture_output=True, **_as(uid, gid))
    return done.returncode == 0


def test_only_the_app_and_its_proxy_open_the_socket(python: list[str], served: Path) -> None:
    found = served.stat()
    assert (found.st_uid, found.st_gid) == (APP, PROXY_GROUP)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert opens(python, served, PROXY, PROXY_GROUP)
    assert not opens(python, served, STRANGER)
