"""A null app under a server: started in a folder of its own, and gone afterwards."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import socket
import subprocess
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil

from advisor.host import sockets
from advisor.host.tree import clean
from advisor.probe.classes.candidates import HOST, SETTINGS, SETTINGS_TEXT
from advisor.probe.classes.interpreter import LeftOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from advisor.probe.classes.candidates import Candidate
    from advisor.probe.classes.interpreter import Interpreter

GRACE_S = 0.3
LOOK_S = 0.01
MAX_WORDS = 200
NULL_APP = Path(__file__).with_name("null_app.py")
# The server's environment: nothing of ours, and no bytecode left in anybody's packages.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
# `python -m`, which ends with its whole process group when its standard input does: even where
# the advisor is killed, nothing stays.
LAUNCHER = """
import os, runpy, signal, sys, threading

def follow():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=follow, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Served:
    """A server on a port of 127.0.0.1, and its processes."""

    port: int
    process: subprocess.Popen[bytes]

    def pids(self) -> tuple[int, ...]:
        """Its processes now; `LeftOut` as `check`."""
        check(self.process)
        try:
            below = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            below = []
        return (self.process.pid, *sorted(child.pid for child in below))


@asynccontextmanager
async def served(candidate: Candidate, interpreter: Interpreter) -> AsyncIterator[Served]:
    """Run a null app under a worker class inside the `with`, from when it listens on.

    It waits for that as long as it takes. Raises `OSError` where the server cannot be started,
    `LeftOut` where it ends by itself or where another has its port.
    """
    with TemporaryDirectory(prefix="advisor-", ignore_cleanup_errors=True) as name:
        folder = Path(name)  # mkdtemp: 0700
        _furnish(folder, interpreter)
        port = free_port()
        process = _start(candidate.listening_at(port), interpreter, folder)
        try:
            server = Served(port, process)
            await _listens(server)
            yield server
        finally:
            await _end(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing is bound to now."""
    with socket.socket() as chosen:
        chosen.bind((HOST, 0))
        return int(chosen.getsockname()[1])


def _furnish(folder: Path, interpreter: Interpreter) -> None:
    files = {NULL_APP.name: NULL_APP.read_text(encoding="utf-8"), SETTINGS: SETTINGS_TEXT}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o644)  # whatever our umask is
    if interpreter.user is not None and interpreter.group is not None:
        os.chown(folder, interpreter.user, interpreter.group)


def _start(
    command: tuple[str, ...], interpreter: Interpreter, folder: Path
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [interpreter.python, "-c", LAUNCHER, *command],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,  # holds so much and no more: a flood waits, and is ended
        bufsize=0,
        start_new_session=True,
        user=interpreter.user,
        group=interpreter.group,
        extra_groups=None if interpreter.user is None else [],
    )


async def _listens(server: Served) -> None:
    """Wait until its port leads to it; `LeftOut` where it leads to another.

    Between the choice of a port and the server's start anybody may take it, and no other's
    service is to be loaded. The listeners are read first: a process that holds one is then there.
    """
    while True:
        reached = sockets.accepting(sockets.listening(), ipaddress.ip_address(HOST), server.port)
        pids = server.pids()
        if not all(sockets.holders(pids, frozenset({each.inode})) for each in reached):
            raise LeftOut(f"another process took port {server.port} of {HOST}", "measure again")
        if reached:
            return
        await asyncio.sleep(LOOK_S)


def check(process: subprocess.Popen[bytes]) -> None:
    """`LeftOut` with its last words if the server has ended.

    It is not reaped: until then its number is no other process's, and no other group's.
    """
    if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        raise LeftOut(f"it ended: {_last_words(process)}", "see that its packages are complete")


def _last_words(process: subprocess.Popen[bytes]) -> str:
    if process.stderr is None:
        return "no word"
    os.set_blocking(process.stderr.fileno(), False)
    said = (process.stderr.read(65536) or b"").decode("utf-8", "replace")
    lines = [clean(line).strip() for line in said.splitlines()]
    return next((line[:MAX_WORDS] for line in reversed(lines) if line), "no word")


async def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server's whole group: its master is asked first, so that it reaps its workers."""
    try:
        os.kill(process.pid, signal.SIGTERM)
        deadline = time.perf_counter() + GRACE_S
        while time.perf_counter() < deadline:
            check(process)
            await asyncio.sleep(LOOK_S)
    except LeftOut:
        pass  # it has
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stderr):
            if stream:
                stream.close()
