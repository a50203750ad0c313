"""A Redis of its own on the staged file, which then says what it understood.

redis-server has no check mode. This one listens on a unix socket in a temporary folder and
nowhere else, keeps what it writes there, and is asked for each value: CONFIG GET. Before, our
own check sees to it that the file sets nothing but the settings: a path or an address in it
would reach out of the stage.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks import result
from advisor.render.checks.result import CheckResult, find_program, other_version, run, verdict
from advisor.render.kit.redis import SETTINGS, parameter, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

ALLOWED = frozenset(map(parameter, SETTINGS))
# What the include has to win over, as on a host: every parameter that may be set twice.
ABOVE = ("save 7 7", "maxmemory 1gb", "maxmemory-policy volatile-random", "timeout 7")
STAND_IN = "a Redis of its own on a unix socket, with its data in a temporary folder"

_VERSION = re.compile(r"\bv=(\S+)")
_REFUSAL = re.compile(r"at line (?P<line>\d+)\n>{3} '?(?P<what>[^\n]*?)'?\n(?P<why>[^\n]+)")


class _Refused(Exception):
    """Redis did not come up; the text is what it said."""


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Ours of what the file sets, then Redis's answer for each setting."""
    (file,) = files
    own = verdict(file.path, "redis settings", _foreign(file))
    # The names of the two servers of Debian; what they read is the same.
    server = next((name for name in ("redis", "valkey") if name in inputs.versions), "redis")
    program = find_program(f"{server}-server")
    name = f"{server}-server"
    if program is None:
        return [own, CheckResult(file.path, name, "not_run", (f"{name} is not installed here",))]
    found = _VERSION.search(run([program, "--version"]).stdout)
    version = found[1] if found else "of unknown version"
    name = f"{name} {version}"
    other = other_version(inputs, server, version, parts=2)
    if other:
        return [own, CheckResult(file.path, name, "not_run", (other,))]
    if own.status == "failed":
        why = f"{file.path}: not started with what is not ours to set"
        return [own, CheckResult(file.path, name, "not_run", (why,))]
    return [own, verdict(file.path, name, _asked(program, file, inputs), stand_ins=[STAND_IN])]


def _foreign(file: File) -> list[str]:
    """The lines that set what is no setting of ours: Redis would take them all."""
    return [
        f"{file.path}:{number}: {words[0]} is none of the settings that this file holds"
        for number, words in _directives(file)
        if words[0].lower() not in ALLOWED
    ]


def _directives(file: File) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(file.content.decode().split("\n"), 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            yield number, words


def _asked(program: str, file: File, inputs: Inputs) -> list[str]:
    """What Redis refuses, or has otherwise than the settings are."""
    where = {words[0].lower(): f"{file.path}:{number}" for number, words in _directives(file)}
    wrong = []
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        stage = Path(folder)
        try:
            with _running(program, file, stage) as client:
                for setting in settings_of(inputs):
                    has = _value(client, setting.name)
                    if has != setting.value:
                        wrong.append(
                            f"{where.get(setting.name, file.path)}: {setting.name} is {has!r} in "
                            f"Redis, and should be {setting.value!r}"
                        )
        except _Refused as error:
            return [_placed(file, str(error))]
        except OSError as error:
            return [f"{file.path}: Redis did not answer: {error}"]
    return wrong


@contextlib.contextmanager
def _running(program: str, file: File, stage: Path) -> Iterator[socket.socket]:
    """Redis on the staged file, and a connection to it; it is gone when this ends."""
    (stage / "app.conf").write_bytes(file.content)
    lines = (
        *("port 0", f"unixsocket {stage}/redis.sock", f"dir {stage}", "daemonize no"),
        *(f"pidfile {stage}/redis.pid", "loglevel warning", *ABOVE, f"include {stage}/app.conf"),
    )
    main = stage / "redis.conf"
    main.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with (stage / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [program, main],
            cwd=stage,
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    try:
        with _connected(process, stage) as client:
            yield client
    finally:
        process.terminate()
        try:
            process.wait(result.TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _connected(process: subprocess.Popen[bytes], stage: Path) -> Iterator[socket.socket]:
    deadline = time.monotonic() + result.TIMEOUT_S
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(result.TIMEOUT_S)
        while client.connect_ex(str(stage / "redis.sock")) != 0:
            if process.poll() is not None:
                raise _Refused((stage / "errors").read_text(encoding="utf-8", errors="replace"))
            if time.monotonic() > deadline:
                raise _Refused(f"no answer within {result.TIMEOUT_S} s")
            time.sleep(0.01)
        yield client


def _value(client: socket.socket, name: str) -> str | None:
    """CONFIG GET of one parameter; null where Redis does not know it.

    An answer is an array of its name and its value, each with its length before it (RESP2).
    """
    client.sendall(f"CONFIG GET {name}\r\n".encode("ascii"))
    with client.makefile("rb") as answer:
        if answer.readline() != b"*2\r\n":
            return None
        texts = [answer.read(int(answer.readline()[1:]) + 2)[:-2].decode() for _ in range(2)]
    return texts[1]


def _placed(file: File, said: str) -> str:
    """Redis's refusal with the file's own line; the included file is counted by itself."""
    match = _REFUSAL.search(said)
    if match is None:
        last = said.strip().splitlines()[-1:] or ["ended without a word"]
        return f"{file.path}: Redis did not start: {last[0]}"
    return f"{file.path}:{match['line']}: {match['why']}: {match['what']}"
