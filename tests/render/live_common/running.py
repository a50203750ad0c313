"""Daemons that a test starts, waits for and ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from advisor.render.checks.result import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

DEADLINE_S = 20

# What systemd does between fork and exec: the listener is descriptor 3, and LISTEN_PID ours.
_HAND_OVER = """
import os, sys
if sys.argv[1] != "-":
    os.dup2(int(sys.argv[1]), 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


def until(is_true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def module(
    words: Sequence[str],
    listener: socket.socket | None,
    *,
    python: str = sys.executable,
    **more: Any,
) -> subprocess.Popen[bytes]:
    """A module of Python's as a process, to which a listener is handed over where there is one."""
    number = "-" if listener is None else str(listener.fileno())
    return subprocess.Popen(
        [python, "-c", _HAND_OVER, number, *words],
        pass_fds=[] if listener is None else [listener.fileno()],
        **more,
    )


@contextlib.contextmanager
def gunicorn(conf: Path, listener: socket.socket, apps: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Gunicorn on a socket of ours, from the moment that it tells systemd that it is ready."""
    notify = conf.with_name("notify")
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(notify))
        ears.settimeout(DEADLINE_S)
        env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(notify)}
        process = module(["gunicorn", "-c", str(conf)], listener, cwd=apps, env=env)
        with stopped(process):
            told = ears.recv(4096)
            assert b"READY=1" in told
            yield process


def nginx_words(conf: Path) -> list[str]:
    """nginx on a staged configuration: how it is started, and how it is asked."""
    return [str(find_program("nginx")), "-e", "stderr", "-c", str(conf), "-p", str(conf.parent)]


@contextlib.contextmanager
def nginx(conf: Path, ports: Iterable[int]) -> Iterator[subprocess.Popen[bytes]]:
    """nginx on a staged configuration, from the moment that it listens on these ports."""
    process = subprocess.Popen([*nginx_words(conf), "-g", "daemon off;"])
    with stopped(process):
        until(lambda: _is_up(process, ports), "nginx")
        yield process


def _is_up(process: subprocess.Popen[bytes], ports: Iterable[int]) -> bool:
    assert process.poll() is None, "nginx ended; its reason is on stderr"
    return all(answers(port) for port in ports)
