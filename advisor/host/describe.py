"""One running app server as the documents carry it, read from its processes."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from advisor.documents import Server, Unknown, Worker
from advisor.host import processes, settings, sockets
from advisor.host.installation import Installation, installation
from advisor.host.tree import clean, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.host.families import Family
    from advisor.host.processes import Process, Usage
    from advisor.host.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Described:
    """A server, the Python environment it runs in, and what could not be read of it."""

    server: Server
    installation: Installation
    settings: Settings
    unknown: list[Unknown]


@dataclass
class Reader:
    """Reads what the kernel allows, and remembers what it denied."""

    denied: dict[str, None] = field(default_factory=dict)

    def __call__(self, what: str, read: Callable[[], T]) -> T | None:
        """What `read` returns; None where it is denied or the process is gone."""
        try:
            return read()
        except PermissionError:
            self.denied[what] = None
        except OSError:
            return None
        return None

    def unknown(self, who: str) -> list[Unknown]:
        """One entry for everything that was denied."""
        if not self.denied:
            return []
        why, remedy = processes.denied()
        return [Unknown(what=f"{', '.join(self.denied)} of {who}", why=why, remedy=remedy)]


def describe(family: Family) -> Described:
    """The server that a family of processes is."""
    command, master = family.command, family.master
    kind, pid = str(command.kind), master.pid
    read = Reader()
    directory = read("working directory", lambda: processes.directory(pid))
    environment = read("environment", lambda: processes.environment(pid))
    if kind == "gunicorn" and "environment" in read.denied:
        read.denied["settings beyond the command line"] = None
    root = processes.filesystem(pid)
    found = (
        settings.of_gunicorn(command, environment, pid=pid, directory=directory, root=root)
        if kind == "gunicorn"
        else settings.of_uvicorn(command, environment)
    )
    worker_class = settings.worker_class(found) if kind == "gunicorn" else kind
    workers = _workers(family, found)
    installed = _installation(family, directory, root, read)
    known = found.known()
    app = command.app or known.pop("wsgi_app", None)
    threads = found.get("threads", 1)
    chdir = known.get("chdir")
    server = Server(
        kind=kind,
        version=installed.packages.get(kind),
        pid=pid,
        app=str(app) if app else None,
        listen=_listen(pid, workers, read),
        worker_class=worker_class,
        threads=threads if type(threads) is int and threads >= 0 else None,
        workers=[worker(process.pid, read) for process in workers],
        interface=settings.interface(kind, worker_class, found),
        user=processes.user((workers or [master])[0].uid),
        directory=directory or (str(chdir) if chdir else None),
        virtualenv=installed.virtualenv,
        python=installed.python,
        unit=processes.unit(pid),
        master_pss_bytes=_pss(read("memory", lambda: processes.usage(pid))),
        settings=known,
    )
    unknown = [*found.unknown, *read.unknown(f"pid {pid} ({kind})")]
    if server.app is None:
        unknown.append(
            Unknown(
                what=f"app of pid {pid} ({kind})",
                why="nothing that can be read names it",
                remedy="give app.module in advisor.yml",
            )
        )
    return Described(server, installed, found, unknown)


def plain(kind: str, master: Process, workers: Sequence[Process]) -> Described:
    """A server of another kind: its processes and sockets, and nothing of its settings."""
    read = Reader()
    server = Server(
        kind=kind,
        version=None,
        pid=master.pid,
        app=None,
        listen=_listen(master.pid, workers, read),
        worker_class=None,
        threads=None,
        workers=[worker(process.pid, read) for process in workers],
        user=processes.user((workers or [master])[0].uid),
        directory=read("working directory", lambda: processes.directory(master.pid)),
        unit=processes.unit(master.pid),
        master_pss_bytes=_pss(read("memory", lambda: processes.usage(master.pid))),
    )
    empty = Installation(None, None, {})
    who = f"pid {master.pid} ({kind})"
    return Described(server, empty, settings.Settings(()), read.unknown(who))


def worker(pid: int, read: Reader) -> Worker:
    """A worker process with its memory, null where that is not to be had."""
    usage = read("memory", lambda: processes.usage(pid))
    return Worker(
        pid=pid,
        pss_bytes=usage.pss_bytes if usage else None,
        uss_bytes=usage.uss_bytes if usage else None,
    )


def _workers(family: Family, found: Settings) -> Sequence[Process]:
    """The children that serve; Uvicorn with one worker serves from the master itself.

    An app of its own may start children by multiprocessing too: they are Uvicorn's only
    where it was told to have some, or where that cannot be seen.
    """
    if family.command.kind == "gunicorn":
        return family.children
    wanted = found.get("workers", 1)
    has_own = found.get("reload", default=False) or not isinstance(wanted, int) or wanted > 1
    return family.children if family.children and has_own else (family.master,)


def _listen(pid: int, workers: Sequence[Process], read: Reader) -> list[str]:
    """The listening sockets that workers take connections from.

    What only the master holds, such as Gunicorn's control socket, is not among them.
    """
    held = read("sockets", lambda: sockets.inodes(pid))
    listening = read("sockets", lambda: sockets.listening(pid))
    for other in workers:
        theirs = read("sockets", lambda: sockets.inodes(other.pid))  # noqa: B023 - called at once
        if theirs is not None and held is not None:
            held &= theirs
            break
    if held is None or listening is None:
        return []
    return [str(listener) for listener in listening if listener.inode in held]


def _installation(family: Family, directory: str | None, root: Path, read: Reader) -> Installation:
    process = family.master
    words = [*family.command.program, *(child.argv[0] for child in family.children)]
    programs = [
        os.path.normpath(os.path.join(directory or "/", word))  # noqa: PTH118 - a text of another file system
        for word in words
        if "/" in word and (directory or word.startswith("/"))
    ]
    exe = read("executable", lambda: clean(str(Path(f"/proc/{process.pid}/exe").readlink())))
    return installation(
        programs,
        executable=exe or next((word for word in programs if "/bin/" in word), None),
        mapped=text(Path(f"/proc/{process.pid}/maps")),
        home=_home(process.uid),
        root=root,
    )


def _home(uid: int) -> Path:
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        return Path("/nonexistent")


def _pss(usage: Usage | None) -> int | None:
    return usage.pss_bytes if usage else None
