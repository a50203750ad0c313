"""Caddy on the target: its own check, and whether it runs what is on the disk."""

from __future__ import annotations

import http.client
import json
import pwd
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands import find, lacking, run
from .documents import Refusal
from .processes import PROC, wall_clock
from .trial import redacted, surroundings, unit_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .commands import Outcome
    from .processes import Process

# Where the admin endpoint is unless the configuration says otherwise (caddyserver.com/docs/api).
ADMIN = "localhost:2019"
ADMIN_S = 5.0
MOST_BYTES = 16 * 1024**2

_IMPORT = re.compile(r"^\s*import\s+(?P<what>/\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Caddy:
    """How Caddy is asked on this host. `caddy validate` opens logs: as root it would own them."""

    words: tuple[str, ...] = ("caddy",)
    unit: str = "caddy.service"
    caddyfile: Path = Path("/etc/caddy/Caddyfile")
    user: str = "caddy"

    @property
    def is_installed(self) -> bool:
        """Whether there is one."""
        return find(self.words[0]) is not None


def environment(caddy: Caddy, pid: int) -> dict[str, str]:
    """What Caddy has, or its unit would give it: `{$NAME}` in a Caddyfile is read from there.

    Never shown.
    """
    try:
        content = (PROC / str(pid) / "environ").read_bytes().decode("utf-8", "replace")
        found = dict(entry.split("=", 1) for entry in content.split("\0") if "=" in entry)
    except OSError:
        found = surroundings(unit_texts(caddy.unit)).environment
    try:
        found.setdefault("HOME", pwd.getpwnam(caddy.user).pw_dir)
    except KeyError:
        found.setdefault("HOME", "/")
    return found


def problems(caddy: Caddy, pid: int) -> tuple[str, ...]:
    """What `caddy validate` says is wrong with the files on the disk."""
    done = _ask(caddy, "validate", pid)
    if done.is_good:
        return ()
    said = tuple(text for line in done.err.splitlines() for text in [_complaint(line)] if text)
    told = said or tuple(done.said[-3:]) or (f"caddy validate ended with {done.code}",)
    return redacted(told, environment(caddy, pid))


def _ask(caddy: Caddy, verb: str, pid: int) -> Outcome:
    words = (verb, "--config", str(caddy.caddyfile), "--adapter", "caddyfile")
    return run([*caddy.words, *words], user=caddy.user, environment=environment(caddy, pid))


def _complaint(line: str) -> str | None:
    """A line of Caddy's log that is an error; some lines are JSON, and some are not."""
    if not line.startswith("{"):
        return line if line.startswith("Error: ") else None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return str(entry.get("msg")) if entry.get("level") == "error" else None


def is_loaded(caddy: Caddy, pid: int) -> bool | None:
    """Whether the running Caddy has what is on the disk; null where it cannot be asked."""
    wanted = _adapted(caddy, pid)
    running = _told(_listens(wanted), "/config/") if wanted is not None else None
    return None if running is None else running == wanted


def admin(caddy: Caddy, pid: int) -> str:
    """Where its files have the admin endpoint."""
    return _listens(_adapted(caddy, pid) or {})


def under_way(admin: str, upstream: str) -> int | None:
    """How many requests it has at an upstream; null where it does not say.

    By `GET /reverse_proxy/upstreams` (caddyserver.com/docs/api).
    """
    for each in _told(admin, "/reverse_proxy/upstreams") or ():
        if each.get("address") == upstream:
            return int(each["num_requests"])
    return None


def _adapted(caddy: Caddy, pid: int) -> dict[str, Any] | None:
    """The files on the disk as Caddy's own configuration; null where they are none."""
    done = _ask(caddy, "adapt", pid)
    try:
        wanted = json.loads(done.out) if done.is_good else None
    except ValueError:
        return None
    return wanted if isinstance(wanted, dict) else None


def _listens(configuration: Mapping[str, Any]) -> str:
    return str(configuration.get("admin", {}).get("listen") or ADMIN)


class _OverUnix(http.client.HTTPConnection):
    """A connection through a unix socket, whose path stands for the host's name."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ADMIN_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _told(admin: str, path: str) -> Any:
    """What its admin endpoint answers; null where that is off or somewhere else."""
    host, _, port = admin.rpartition(":")
    connection: http.client.HTTPConnection
    if admin.startswith("unix//"):
        # The name that it takes there is an empty one (caddy's admin.go, allowedOrigins).
        connection, name = _OverUnix(admin.removeprefix("unix/")), ""
    elif port.isdecimal() and "/" not in host:
        # It answers only to the name that it listens on (caddyserver.com/docs/json/admin).
        connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=ADMIN_S)
        name = admin
    else:
        return None
    try:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return json.loads(answer.read(MOST_BYTES)) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def files(caddyfile: Path, seen: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The Caddyfile and what it imports by absolute path, and those files' own imports."""
    try:
        text = caddyfile.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    yield caddyfile
    seen |= {caddyfile}
    for what in _IMPORT.findall(text):
        for path in sorted(Path("/").glob(what.lstrip("/"))):
            if path not in seen and path.is_file():
                yield from files(path, seen)


def live_problems(
    caddy: Caddy, process: Process | None, is_ours: Callable[[Path], bool]
) -> Refusal | None:
    """Why a reload now would fail, or would publish what somebody else is still at.

    What runs is compared with what is on the disk. A difference that only our own files can have
    made is drift, which is judged elsewhere.
    """
    pid = process.pid if process else 0
    wrong = problems(caddy, pid)
    if wrong:
        return Refusal(
            step="live",
            message="the Caddyfile on this host does not pass, before anything of ours",
            lines=wrong,
            look="Somebody's edit is not finished: mend it until `caddy validate` passes, and "
            "apply again.",
        )
    if process is None or is_loaded(caddy, pid) is not False:
        return None
    began = wall_clock(process.started_s)
    changed = [path for path in files(caddy.caddyfile) if _changed(path) > began]
    theirs = [str(path) for path in changed if not is_ours(path)]
    if changed and not theirs:
        return None
    what = f"edited since Caddy started: {', '.join(theirs)}" if theirs else "changed by its API"
    return Refusal(
        step="live",
        message=f"Caddy does not run what {caddy.caddyfile} says ({what})",
        look="A reload of ours would publish the files and drop what runs. Reload Caddy when they "
        "are meant to be live, or take the edit back; apply again.",
    )


def _changed(path: Path) -> float:
    try:
        return max(path.lstat().st_mtime, path.stat().st_mtime)
    except OSError:
        return 0.0


def staged_problems(caddy: Caddy, pid: int) -> Refusal | None:
    """What Caddy says to the staged files, asked where they are in their places."""
    if not caddy.is_installed:
        return lacking("caddy", "caddy")
    wrong = problems(caddy, pid)
    if not wrong:
        return None
    return Refusal(
        step="check",
        message="Caddy refuses the new files",
        lines=wrong,
        look="Change advisor.yml and render again, or mend the site that it clashes with.",
    )
