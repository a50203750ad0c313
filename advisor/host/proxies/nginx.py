"""The configuration of an nginx that runs: which files it read, and what they say.

The files are read as the user that we are; crossplane knows nginx's grammar. A configuration
is somebody else's text: what is no regular file, too large or too deep is not read.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import crossplane
import psutil

from advisor.documents import Unknown
from advisor.host import processes
from advisor.host.proxies import program
from advisor.host.proxies.nginx_directive import Directive
from advisor.host.proxies.nginx_site import Configuration
from advisor.host.tree import clean, content, under

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from advisor.documents import Server

MAX_FILES = 500
MAX_FILE_BYTES = 4 * 1024**2
MAX_DEPTH = 8
CLOCK_S = 2  # psutil knows a process's start by a boot time in whole seconds
BUILT_IN = re.compile(r"--(prefix|conf-path|http-log-path)=(\S+)")
OPTION = re.compile(r"-(?P<name>[cpeg])(?P<value>.*)", re.DOTALL)


def configuration(server: Server) -> tuple[Configuration | None, list[Unknown]]:
    """What the nginx was told, includes in their places; None with the reason where it is hidden.

    It is the files of today: where one is newer than nginx's newest worker, `unknown` says so.
    """
    process = processes.table().get(server.pid)
    given = words(process.argv if process else ())
    compiled = _compiled(server.pid)
    prefix, path = given.get("p") or compiled.get("prefix"), given.get("c")
    path = path or compiled.get("conf-path")
    path = _absolute(path, _absolute(prefix, server.directory)) if path else None
    if path is None:
        why = "its command line does not name it, and `nginx -V` of the program does not tell"
        return None, [
            _unknown(server, "the configuration", why, "start it with -c and a full path")
        ]
    files = _Files(processes.filesystem(server.pid), str(PurePosixPath(path).parent))
    directives = tuple(files.read(path))
    if not directives:
        return None, [_unknown(server, *gap) for gap in files.gaps(path)]
    gaps = files.gaps(path)
    if files.newest > _started(server) + CLOCK_S:
        why = f"a file of {path} is newer than nginx's workers, which may not have read it"
        gaps.append(("whether it runs its configuration", why, "reload nginx"))
    found = Configuration(
        directives,
        prefix=_absolute(prefix, server.directory),
        default_log=compiled.get("http-log-path"),
        root=files.root,
    )
    return found, [_unknown(server, *gap) for gap in gaps]


def words(argv: Sequence[str]) -> dict[str, str]:
    """The options of an nginx's command line that take a value, the last of each.

    The master's title holds the command line with its quotes lost: a path with a blank in it
    cannot be told from two words.

    >>> words(["nginx: master process /usr/sbin/nginx -c /srv/nginx.conf -g daemon off;"])["c"]
    '/srv/nginx.conf'
    """
    rest = list(argv)
    if rest and rest[0].startswith("nginx:"):
        rest = " ".join(rest).partition("process ")[2].split()
    found = {}
    rest = rest[1:]
    while rest:
        if option := OPTION.fullmatch(rest.pop(0)):
            value = option["value"] or (rest.pop(0) if rest else "")
            found[option["name"]] = value
    return found


def directives(parsed: object) -> Iterator[Directive]:
    """The payload of crossplane as ours.

    >>> list(directives([{"directive": "listen", "args": ["80"], "line": 1}]))
    [Directive(name='listen', args=('80',), block=None)]
    """
    for entry in parsed if isinstance(parsed, list) else []:
        block = entry.get("block")
        inner = tuple(directives(block)) if block is not None else None
        yield Directive(entry["directive"], tuple(entry["args"]), inner)


def parse(source: bytes) -> list[Directive] | None:
    """The directives of one file, includes unread; None where it is no configuration."""
    descriptor = os.memfd_create("nginx", os.MFD_CLOEXEC)  # crossplane reads files by their names
    with os.fdopen(descriptor, "wb", buffering=0) as stream:
        stream.write(source)
        payload = crossplane.parse(
            f"/proc/self/fd/{descriptor}", single=True, check_ctx=False, check_args=False
        )
    if payload["status"] != "ok":
        return None
    try:
        return list(directives(payload["config"][0]["parsed"]))
    except RecursionError:
        return None


@dataclass
class _Files:
    """Reads a configuration's files below a root, and remembers what it could not read."""

    root: Path
    folder: str
    count: int = 0
    newest: float = 0.0
    denied: dict[str, None] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)

    def read(self, path: str, depth: int = 0) -> Iterator[Directive]:
        """The directives of a file, and in the place of an `include` those of its files."""
        self.count += 1
        if self.count > MAX_FILES or depth > MAX_DEPTH:
            self.refused[path] = None
            return
        real = under(self.root, path)
        try:
            found = parse(content(real, most=MAX_FILE_BYTES))
            self.newest = max(self.newest, real.stat().st_mtime)
        except PermissionError:
            self.denied[path] = None
            return
        except (OSError, ValueError):
            found = None
        if found is None:
            self.refused[path] = None
            return
        yield from self._included(found, depth)

    def _included(self, found: Sequence[Directive], depth: int) -> Iterator[Directive]:
        for entry in found:
            if entry.name == "include" and entry.args:
                for path in self._named(entry.args[0]):
                    yield from self.read(path, depth + 1)
            elif entry.block is not None:
                yield Directive(entry.name, entry.args, tuple(self._included(entry.block, depth)))
            else:
                yield entry

    def _named(self, pattern: str) -> list[str]:
        """The files of an `include`, relative to the main file's folder, in nginx's order."""
        full = str(PurePosixPath(self.folder) / pattern)
        if not glob.has_magic(full):
            return [full]
        below = glob.escape(str(self.root)) if str(self.root) != "/" else ""
        try:
            # nginx's own matching: names that begin with a dot need a pattern that does.
            found = glob.iglob(below + full)  # noqa: PTH207 - Path.glob matches those too
            paths = list(itertools.islice(found, MAX_FILES))
        except (OSError, ValueError, re.error):
            return []
        skip = len(str(self.root)) if below else 0
        return sorted(path[skip:] for path in paths)

    def gaps(self, main: str) -> list[tuple[str, str, str]]:
        """What could not be read, why, and what to do."""
        why, remedy = processes.denied()
        what = "the configuration" if main in self.denied | self.refused else "a part of it"
        denied = [(f"{what} ({_some(self.denied)})", why, remedy)] if self.denied else []
        reason = "missing, too much, or not understood as nginx's"
        checked = "check it with `nginx -t`"
        refused = [(f"{what} ({_some(self.refused)})", reason, checked)] if self.refused else []
        return denied + refused


def _some(paths: Mapping[str, None]) -> str:
    first = list(paths)[:3]
    return ", ".join(first) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _compiled(pid: int) -> dict[str, str]:
    """The paths that the program was built with (`nginx -V`); empty where it is not to be asked."""
    found = program.running("nginx", pid)
    text = "".join(program.answer(found, "-V")[1:]) if found else ""
    return dict(BUILT_IN.findall(text))


def _absolute(path: str | None, folder: str | None) -> str | None:
    if path is None or path.startswith("/"):
        return path
    return str(PurePosixPath(folder) / path) if folder else None


def _started(server: Server) -> float:
    """When the newest worker started; later than any file where it cannot be told."""
    times = []
    for pid in {server.pid, *(worker.pid for worker in server.workers)}:
        try:
            times.append(psutil.Process(pid).create_time())
        except psutil.Error:
            continue
    return max(times, default=float("inf"))


def _unknown(server: Server, what: str, why: str, remedy: str) -> Unknown:
    shown = clean(f"{what} of pid {server.pid} (nginx)")  # file names are somebody else's text
    return Unknown(what=shown, why=clean(why), remedy=remedy)
