"""Which daemons are installed, in which versions and with which modules.

Each program is asked by a command, and a pure function reads its answer. As root only files
that root owns are run: a program in somebody's virtual environment is theirs to change.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from advisor.documents import Component
from advisor.host import nginx_main
from advisor.host.tree import LIVE

# Daemons live in /usr/sbin, which is not on an ordinary user's PATH.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT_S = 5
CADDY_MODULES = ("caddy", "list-modules")


def parse_nginx(text: str) -> Component | None:
    """`nginx -V`: the version, and the HTTP modules that are compiled in.

    A module built as dynamic is there only where the configuration loads it, and left out.
    One of another maker is named as its folder is: `--add-module=/src/ngx_brotli` is `brotli`.
    """
    version = re.search(r"^nginx version: \S+?/(\d+(?:\.\d+)+)", text, re.MULTILINE)
    modules = re.findall(r"--with-(http_\w+)_module(?=\s|$)", text)
    added = re.findall(
        r"--add-module=(?:\S*/)?(?:ngx_)?([\w-]+?)(?:[_-]nginx[_-]module)?/?(?=\s|$)", text
    )
    return Component(version=version[1], modules=sorted({*modules, *added})) if version else None


def parse_nginx_configuration(text: str) -> Path | None:
    """Where the main configuration is, from `nginx -V`; null where it was built without one."""
    found = re.search(r"--conf-path=(/\S+)", text)
    return Path(found[1]) if found else None


def parse_nginx_openssl(text: str) -> Component | None:
    """The OpenSSL that nginx runs with, from `nginx -V`."""
    for word in ("running with", "built with"):
        if found := re.search(rf"{word} OpenSSL (\d+(?:\.\d+)+[a-z]*)", text):
            return Component(version=found[1])
    return None


def parse_openssl(text: str) -> Component | None:
    """`openssl version`."""
    found = re.match(r"OpenSSL (\d+(?:\.\d+)+[a-z]*)", text)
    return Component(version=found[1]) if found else None


def parse_systemd(text: str) -> Component | None:
    """`systemctl --version`: the number that systemd's features go by."""
    found = re.match(r"systemd (\d+)", text)
    return Component(version=found[1]) if found else None


def parse_caddy(text: str) -> Component | None:
    """`caddy version`, with or without the v."""
    found = re.match(r"v?(\d+(?:\.\d+)+)", text)
    return Component(version=found[1]) if found else None


def parse_redis(text: str) -> Component | None:
    """`redis-server --version`; where Valkey answers to that name, it is not Redis."""
    return _server("Redis", text)


def parse_valkey(text: str) -> Component | None:
    """`valkey-server --version`, in Redis's words."""
    return _server("Valkey", text)


def parse_keydb(text: str) -> Component | None:
    """`keydb-server --version`, in Redis's words."""
    return _server("KeyDB", text)


def _server(name: str, text: str) -> Component | None:
    found = re.match(rf"{name} server v=(\d+(?:\.\d+)+)", text)
    return Component(version=found[1]) if found else None


def parse_caddy_modules(text: str) -> list[str]:
    """The modules that somebody built in, from `caddy list-modules`.

    Each section ends with its count: the second one's names are not Caddy's own.
    """
    _, _, others = text.partition("Standard modules:")
    others, marker, _ = others.partition("Non-standard modules:")
    return sorted(re.findall(r"^([a-z][\w.]*)$", others, re.MULTILINE)) if marker else []


Reader = tuple[str, tuple[str, ...], Callable[[str], Component | None]]
# A later row of a component counts only where the earlier ones gave nothing: what matters is
# the OpenSSL of the process that will speak TLS.
READERS: tuple[Reader, ...] = (
    ("nginx", ("nginx", "-V"), parse_nginx),
    ("openssl", ("nginx", "-V"), parse_nginx_openssl),
    ("openssl", ("openssl", "version"), parse_openssl),
    ("systemd", ("systemctl", "--version"), parse_systemd),
    ("caddy", ("caddy", "version"), parse_caddy),
    ("redis", ("redis-server", "--version"), parse_redis),
    ("valkey", ("valkey-server", "--version"), parse_valkey),
    ("keydb", ("keydb-server", "--version"), parse_keydb),
)


@dataclass(frozen=True)
class Answer:
    """Where a program is, and what it prints on either stream; empty for one that is not there."""

    path: str | None
    text: str


Ask = Callable[[tuple[str, ...]], Answer]


def asked(command: tuple[str, ...]) -> Answer:
    """The answer of a program of this host to a command, within `TIMEOUT_S`."""
    program = find(command[0])
    if program is None:
        return Answer(None, "")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return Answer(program, "")
    return Answer(program, (done.stdout + done.stderr).decode(errors="replace"))


def components(ask: Ask = asked, root: Path = LIVE) -> dict[str, Component]:
    """The daemons found on a host, by name, each with its modules that matter.

    `ask` puts a command to a program of the host, `root` stands before the host's files.
    """
    answers: dict[tuple[str, ...], Answer] = {}
    found: dict[str, Component] = {}
    for name, command, parse in READERS:
        if name in found:
            continue
        if command not in answers:
            answers[command] = ask(command)
        if component := parse(answers[command].text):
            path = answers[command].path if name in command[0] else None  # not nginx's as OpenSSL's
            found[name] = component.model_copy(update={"path": path})
    if "nginx" in found:
        file = parse_nginx_configuration(answers["nginx", "-V"].text)
        main = nginx_main.read(file, root) if file else None
        if main:
            loaded = _with(found["nginx"], main.modules)
            found["nginx"] = loaded.model_copy(update={"settings": main.settings})
    if "caddy" in found:
        found["caddy"] = _with(found["caddy"], parse_caddy_modules(ask(CADDY_MODULES).text))
    return found


def _with(component: Component, modules: list[str]) -> Component:
    return component.model_copy(update={"modules": sorted({*component.modules, *modules})})


def find(name: str) -> str | None:
    """The program's path, system folders first; None where it is missing or not to be trusted."""
    path = shutil.which(name, path=f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}")
    if path is None or os.geteuid() != 0:
        return path
    status = Path(path).stat()
    return path if status.st_uid == 0 and not status.st_mode & 0o022 else None
