"""One running app server as the documents carry it, read from its processes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from advisor.documents import Server, Unknown, Worker
from advisor.host import commandline, processes, secrets, settings, sockets
from advisor.host.inferred import Inferred, inferred
from advisor.host.installation import Installation, installation
from advisor.host.sockets import UnixListener
from advisor.host.tree import LIVE, clean, link, proc, text, under

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.host.families import Family
    from advisor.host.processes import Process, Usage
    from advisor.host.settings import Settings
    from advisor.host.sockets import Listener

T = TypeVar("T")
UNKNOWN = "unknown"  # the kind of a server that nothing names


@dataclass(frozen=True)
class Described:
    """A server, the Python environment it runs in, and what could not be read of it."""

    server: Server
    installation: Installation
    settings: Settings
    unknown: list[Unknown]


@dataclass
class Reader:
    """Reads what the kernel of a host allows, and remembers what it denied."""

    root: Path = LIVE
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


def describe(family: Family, root: Path = LIVE) -> Described:
    """The server that a family of processes is; `root` stands before its host's /proc."""
    command, master = family.command, family.master
    kind, pid = str(command.kind), master.pid
    read = Reader(root)
    directory = read("working directory", lambda: processes.directory(pid, root))
    environment = read("environment", lambda: processes.environment(pid, root))
    if kind != "hypercorn" and "environment" in read.denied:
        read.denied["settings beyond the command line"] = None
    files = processes.filesystem(pid, root)
    found = settings.of(command, environment, pid=pid, directory=directory, root=files)
    worker_class = settings.worker_class(kind, found)
    workers = _workers(family, found)
    installed = _installation(family, directory, files, read)
    known = found.known()
    app = command.app or known.pop("wsgi_app", None)
    chdir = known.get("chdir") or known.get("working_dir")
    version = installed.packages.get(kind)
    server = Server(
        kind=kind,
        version=version,
        pid=pid,
        app=str(app) if app else None,
        listen=_listen(pid, workers, directory, read),
        worker_class=worker_class,
        threads=settings.threads(kind, version, found),
        workers=[worker(process.pid, read) for process in workers],
        interface=settings.interface(kind, worker_class, found),
        user=processes.user((workers or [master])[0].uid, root),
        directory=directory or (str(chdir) if chdir else None),
        virtualenv=installed.virtualenv,
        python=installed.python,
        unit=processes.unit(pid, root),
        master_pss_bytes=_pss(read("memory", lambda: processes.usage(pid, root))),
        settings=known,
        secret_options=[clean(name) for name in secrets.secret_options(master.argv)],
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
    """A server of another kind: its processes and sockets, and nothing of its settings.

    One whose command line does not name it may be known by what its processes have loaded.
    """
    read = Reader()
    served = (workers or [master])[0]
    directory = read("working directory", lambda: processes.directory(master.pid))
    root = processes.filesystem(master.pid)
    installed = Installation(None, None, {})
    loaded: Inferred | None = None
    if kind == UNKNOWN and commandline.is_python(master.argv):
        installed = _installed([served], master.argv[:2], directory, root, read)
        maps = text(Path(f"/proc/{served.pid}/maps"))
        loaded = inferred(maps, processes.threads(served.pid), installed)
    if loaded:
        kind = loaded.kind
    server = Server(
        kind=kind,
        version=installed.packages.get(kind),
        pid=master.pid,
        app=None,
        listen=_listen(master.pid, workers, directory, read),
        worker_class=loaded.worker_class if loaded else None,
        threads=1 if loaded and loaded.worker_class else None,
        workers=[worker(process.pid, read) for process in workers],
        interface=loaded.interface if loaded else None,
        user=processes.user(served.uid),
        directory=directory,
        virtualenv=installed.virtualenv,
        python=installed.python,
        unit=processes.unit(master.pid),
        master_pss_bytes=_pss(read("memory", lambda: processes.usage(master.pid))),
    )
    who = f"pid {master.pid} ({kind})"
    gaps = [loaded.unknown(master.pid)] if loaded else []
    return Described(server, installed, settings.Settings(()), [*gaps, *read.unknown(who)])


def worker(pid: int, read: Reader) -> Worker:
    """A worker process with its memory, null where that is not to be had."""
    usage = read("memory", lambda: processes.usage(pid, read.root))
    return Worker(
        pid=pid,
        pss_bytes=usage.pss_bytes if usage else None,
        uss_bytes=usage.uss_bytes if usage else None,
    )


def _workers(family: Family, found: Settings) -> Sequence[Process]:
    """The children that serve; a server without any serves from the master itself.

    An app of its own may start children by multiprocessing too: they are Uvicorn's only
    where it was told to have some, or where that cannot be seen. Hypercorn has children
    unless it is told to have none, Granian unless its Python knows no global lock.
    """
    kind = family.command.kind
    if kind == "gunicorn":
        return family.children
    wanted = found.get("workers", 1)
    if kind == "uvicorn":
        reload = found.get("reload", default=False)
        has_own = reload or not isinstance(wanted, int) or wanted > 1
    else:
        has_own = not (kind == "hypercorn" and wanted == 0)
    return family.children if family.children and has_own else (family.master,)


def _listen(pid: int, workers: Sequence[Process], directory: str | None, read: Reader) -> list[str]:
    """The listening sockets that workers take connections from.

    What only the master holds, such as Gunicorn's control socket, is not among them. Where
    master and workers share none, each worker has made its own (SO_REUSEPORT): Granian's, and
    Gunicorn's with `reuse_port`.
    """
    listening = read("sockets", lambda: sockets.listening(pid, read.root))
    master = read("sockets", lambda: sockets.inodes(pid, read.root))
    own = [read("sockets", partial(sockets.inodes, row.pid, read.root)) for row in workers]
    seen = [held for held in own if held is not None]
    if listening is None or master is None:
        return []
    for held in (master & seen[0] if seen else master, frozenset[int]().union(*seen)):
        if found := [listener for listener in listening if listener.inode in held]:
            return list(dict.fromkeys(_place(listener, directory) for listener in found))
    return []


def _place(listener: Listener | UnixListener, directory: str | None) -> str:
    """A listener as documents have it; one bound by a relative name with its folder."""
    if isinstance(listener, UnixListener) and directory and listener.path[:1] not in {"/", "@"}:
        return f"unix:{PurePosixPath(directory) / listener.path}"
    return str(listener)


def _installation(family: Family, directory: str | None, root: Path, read: Reader) -> Installation:
    words = [*family.command.program, *(child.argv[0] for child in family.children if child.argv)]
    # What a worker has loaded is the app's; Gunicorn's master loads it only with preload.
    return _installed([family.master, *family.children[:1]], words, directory, root, read)


def _installed(
    relatives: Sequence[Process],
    words: Sequence[str],
    directory: str | None,
    root: Path,
    read: Reader,
) -> Installation:
    """The environment of a process and its child that serves; their command lines begin so."""
    process = relatives[0]
    maps = [text(under(read.root, proc(each.pid)) / "maps") for each in relatives]
    programs = [
        os.path.normpath(os.path.join(directory or "/", word))  # noqa: PTH118 - a text of another file system
        for word in words
        if "/" in word and (directory or word.startswith("/"))
    ]
    folder = under(read.root, proc(process.pid))
    exe = read("executable", lambda: clean(link(folder / "exe")))
    return installation(
        programs,
        executable=exe or next((word for word in programs if "/bin/" in word), None),
        mapped="".join(maps),
        serving=maps[-1],
        home=_home(process.uid, read.root),
        root=root,
    )


def _home(uid: int, root: Path) -> Path:
    known = processes.account(uid, root)
    return Path(known.home if known else "/nonexistent")


def _pss(usage: Usage | None) -> int | None:
    return usage.pss_bytes if usage else None
