"""Redis on the target: a scratch server reads the file first, then the live one gets its values.

A Redis that serves is never restarted. It is reached as redis.conf says; its password is read
from there, and goes nowhere but to Redis.
"""

from __future__ import annotations

import contextlib
import shlex
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .commands import PATH, find, lacking
from .documents import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .livevalues import Store

ANSWER_S = 10.0
POLL_S = 0.01
EVICTING = ("allkeys-", "volatile-")
UNITS = {"kb": 1024, "mb": 1024**2, "gb": 1024**3, "k": 1000, "m": 1000**2, "g": 1000**3}


class Wrong(Exception):
    """What Redis answered instead of doing what it was asked."""


@dataclass
class Client:
    """A connection that speaks RESP2 (redis.io/docs/reference/protocol-spec)."""

    connection: socket.socket

    def ask(self, *words: str) -> list[str]:
        """The answer's texts: of a simple one, just it. Raises `Wrong` for an error."""
        raw = [word.encode() for word in words]
        parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw)
        self.connection.sendall(b"*%d\r\n%s" % (len(words), parts))
        with self.connection.makefile("rb") as answer:
            return list(_texts(answer))

    def get(self, name: str) -> str | None:
        """A parameter's value; null where Redis does not know it."""
        found = self.ask("CONFIG", "GET", name)
        return found[1] if len(found) > 1 else None

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO."""
        text = "".join(self.ask("INFO", section))
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _texts(answer: BinaryIO) -> Iterator[str]:
    line = answer.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:].decode("utf-8", "replace")
    if kind == b"-":
        raise Wrong(rest)
    if kind == b"*":
        for _ in range(int(rest)):
            yield from _texts(answer)
    elif kind == b"$":
        size = int(rest)
        if size >= 0:
            yield answer.read(size + 2)[:-2].decode("utf-8", "replace")
    elif kind in b"+:" and kind:
        yield rest
    else:
        raise Wrong("it closed the connection")


def directives(text: str) -> Iterator[list[str]]:
    """The words of each line of a configuration file."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            words = shlex.split(line, comments=False)
            if words and not words[0].startswith("#"):
                yield [words[0].lower(), *words[1:]]


def settings(text: str) -> dict[str, str]:
    r"""What CONFIG SET takes for a file of ours: `save` lines are one value.

    >>> settings('# why\nmaxmemory 64mb\nsave ""\nsave 900 1\nsave 300 10\n')
    {'maxmemory': '64mb', 'save': '900 1 300 10'}
    """
    found: dict[str, str] = {}
    for name, *words in directives(text):
        before = found.get(name, "") if name == "save" else ""
        found[name] = " ".join([before, *words]).strip()
    return found


@contextlib.contextmanager
def live(main: Path) -> Iterator[Client | None]:
    """A connection to the server that runs by this redis.conf; null where none answers.

    The included files count too. Raises `Wrong` where the password is not taken.
    """
    said = {name: words for name, *words in _all(main)}
    path, port = said.get("unixsocket", []), said.get("port", ["6379"])
    password = said.get("requirepass", [])
    connection = _connected(path[0] if path and path[0] else None, int(port[0] or 0))
    if connection is None:
        yield None
        return
    with connection:
        client = Client(connection)
        if password and password[0]:
            client.ask("AUTH", password[0])
        yield client


def _all(main: Path, depth: int = 0) -> Iterator[list[str]]:
    try:
        text = main.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for words in directives(text):
        if words[0] == "include" and depth < 8:
            for path in sorted(Path("/").glob(words[1].lstrip("/"))):
                yield from _all(path, depth + 1)
        else:
            yield words


def _connected(path: str | None, port: int) -> socket.socket | None:
    if path is None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), ANSWER_S) if port else None
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER_S)
    if connection.connect_ex(path) != 0:
        connection.close()
        return None
    return connection


def switch(app: str, new: Mapping[str, str], store: Store, main: Path) -> Refusal | None:
    """From the values that an app has set to its new ones in the live Redis, if one runs.

    What nobody sets any more gets back what was. What only a start can change is left to the next.
    """
    try:
        with live(main) as client:
            if client is None:
                return None
            risk = _evicts(client, new)
            if risk:
                return _refused(risk)
            gone = [name for name in store.names(app) if name not in new]
            store.keep(app, {name: client.get(name) or "" for name in new})
            for name, value in {**store.due(app, gone), **new}.items():
                _set(client, name, value)
            store.forget(app, gone)
    except (OSError, Wrong) as error:
        return _refused(str(error))
    return None


def _refused(why: str) -> Refusal:
    return Refusal(
        step="activate",
        message=f"Redis did not take its settings: {why}",
        look="Nothing in it was restarted or dropped: see `redis-cli config get '*'`.",
    )


def _set(client: Client, name: str, value: str) -> None:
    """CONFIG SET; what cannot be set on a running server is said in these words (config.c)."""
    try:
        client.ask("CONFIG", "SET", name, value)
    except Wrong as error:
        if "immutable" not in str(error) and "Unsupported CONFIG" not in str(error):
            raise Wrong(f"{name} {value}: {error}") from None


def _evicts(client: Client, new: Mapping[str, str]) -> str | None:
    """Whether a lower limit would throw keys away at once."""
    limit = size(new.get("maxmemory", "0"))
    policy = new.get("maxmemory-policy") or client.get("maxmemory-policy") or ""
    used = int(client.info("memory").get("used_memory", "0"))
    if limit and used > limit and policy.startswith(EVICTING):
        return f"it holds {used} bytes, and maxmemory {limit} would throw keys away at once"
    return None


def size(text: str) -> int:
    """Bytes, as redis.conf counts them.

    >>> size("64mb"), size("1gb"), size("1k"), size("512")
    (67108864, 1073741824, 1000, 512)
    """
    lower = text.lower()
    unit = next((unit for unit in UNITS if lower.endswith(unit)), "")
    number = lower[: len(lower) - len(unit)] if unit else lower.rstrip("b")
    # What is no number Redis itself refuses.
    return int(number) * UNITS.get(unit, 1) if number.isdecimal() else 0


def staged_problems(server: str, file: Path) -> Refusal | None:
    """What a server of its own says to the file: it listens on a socket in a folder of its own."""
    program = find(f"{server}-server")
    if program is None:
        return lacking(f"{server}-server", f"{server}-server")
    with tempfile.TemporaryDirectory(prefix="advisor-") as folder:
        listens = Path(folder) / "redis.sock"
        lines = ("port 0", f"unixsocket {listens}", f"dir {folder}", "daemonize no", 'save ""')
        main = Path(folder) / "redis.conf"
        main.write_text("\n".join([*lines, f"include {file}", ""]), encoding="utf-8")
        said = _tried([program, str(main)], listens)
    if said is None:
        return None
    return Refusal(
        step="check",
        message=f"{server}-server refuses {file}",
        lines=tuple(said.splitlines()[-8:]),
        look="Change advisor.yml and render again.",
    )


def _tried(argv: list[str], listens: Path) -> str | None:
    """What a server says that does not come up; null where it does. It is gone after."""
    process = subprocess.Popen(
        argv,
        env={"PATH": PATH, "LC_ALL": "C"},
        cwd=listens.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    deadline = time.monotonic() + ANSWER_S
    with process:
        while process.poll() is None and time.monotonic() < deadline:
            if _answers(listens):
                process.kill()
                return None
            time.sleep(POLL_S)
        process.kill()
        said = process.communicate()[0]
    return said or f"no answer within {ANSWER_S:g} s"


def _answers(listens: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(listens)) == 0
