"""Starting and stopping what the demo runs: app servers, nginx, wrk. All on loopback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

READY_S = 30.0
SECONDS = 5
_DAEMON_FOLDERS = "/usr/sbin:/sbin"


def program(name: str) -> str:
    """The path of a program of this environment, or of the system; `AdvisorError` without it."""
    beside = Path(sys.executable).with_name(name)
    if beside.exists():
        return str(beside)
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_DAEMON_FOLDERS}")
    if found is None:
        raise AdvisorError(
            f"the demo needs {name}, which is not installed",
            remedy="Run `make demo` as root on Debian, or install it by hand.",
        )
    return found


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], *, url: str, log: Path) -> Iterator[int]:
    """Run a server inside the `with`, from its first good answer at `url` on; gives its PID.

    Raises `AdvisorError` with the end of its log where it does not come up.
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=stream,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the demo, which then stops its servers in order
        )
    try:
        _wait_until_ready(process, url, log)
        yield process.pid
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False, timeout=2).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise AdvisorError(f"{url} did not come up within {READY_S:g} s:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True)
class Score:
    """What wrk saw: requests a second, response times, answers, and those that were not good.

    wrk runs up to 0.1 s longer than it is told: `rps` times its seconds is less than `requests`.
    """

    rps: float
    p50_s: float
    p99_s: float
    requests: int
    failed: int


_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in ")
_PERCENTILE = r"^\s*{}%\s+([\d.]+)(us|ms|s|m)\s*$"
_STATUS = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKET = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def referee(
    url: str, *, connections: int, seconds: int = SECONDS, headers: Sequence[str] = ()
) -> Score:
    """Load `url` with wrk, one thread, kept-alive connections, `headers` beside its Host."""
    more = [word for header in headers for word in ("-H", header)]
    done = subprocess.run(
        [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more, url],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    if done.returncode:
        raise AdvisorError(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    return parse_wrk(done.stdout)


def parse_wrk(text: str) -> Score:
    """The figures in wrk's report; `AdvisorError` where they are not there."""
    rate, p50, p99 = _RATE.search(text), _percentile(text, 50), _percentile(text, 99)
    count = _COUNT.search(text)
    if not rate or not count or p50 is None or p99 is None:
        raise AdvisorError(f"wrk printed no figures:\n{text.strip()}")
    status, sockets = _STATUS.search(text), _SOCKET.search(text)
    failed = int(status[1]) if status else 0
    failed += sum(int(count) for count in sockets.groups()) if sockets else 0
    return Score(float(rate[1]), p50, p99, requests=int(count[1]), failed=failed)


def _percentile(text: str, percent: int) -> float | None:
    found = re.search(_PERCENTILE.format(percent), text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else None
