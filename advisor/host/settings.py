"""The settings a server runs with, from everything that gives it any.

Gunicorn's precedence: command line, GUNICORN_CMD_ARGS, configuration file, WEB_CONCURRENCY.
A source that may not be read hides what it might have said: a setting below it is unknown,
not the default.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown
from advisor.host import commandline, gunicorn_file
from advisor.host.gunicorn_file import STAR
from advisor.host.tree import content, under

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from advisor.documents import Scalar
    from advisor.host.commandline import Command

MAX_FILE_BYTES = 1024**2
# Seen on the live processes and sockets, whatever the file says.
SEEN_LIVE = {"workers", "bind"}
WSGI = {"sync", "gthread", "gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "tornado"}
WSGI_CLASSES = {"SyncWorker", "ThreadWorker", "GeventWorker", "EventletWorker", "TornadoWorker"}
ASGI_CLASSES = {"UvicornWorker", "UvicornH11Worker", "ASGIWorker"}


@dataclass(frozen=True)
class Layer:
    """What one source gives; `computed` names settings that it sets to we cannot say what."""

    settings: Mapping[str, Scalar]
    computed: frozenset[str] = frozenset()

    def decides(self, name: str) -> bool:
        """Whether nothing below this layer matters for the setting."""
        return name in self.settings or name in self.computed or STAR in self.computed


HIDDEN = Layer({}, frozenset({STAR}))


@dataclass(frozen=True)
class Settings:
    """Layers, the strongest first, and what could not be read of them."""

    layers: Sequence[Layer]
    unknown: list[Unknown] = field(default_factory=list)

    def get(self, name: str, default: Scalar) -> Scalar:
        """The setting's value, `default` where no source gives one, None where it is hidden."""
        for layer in self.layers:
            if layer.decides(name):
                return layer.settings.get(name)
        return default

    def known(self) -> dict[str, Scalar]:
        """Every setting that a source gives and none above it hides."""
        names = dict.fromkeys(name for layer in self.layers for name in layer.settings)
        found = {name: self.get(name, None) for name in names}
        return {name: value for name, value in found.items() if value is not None}


def of_uvicorn(command: Command, environment: Mapping[str, str] | None) -> Settings:
    """Uvicorn's settings: its command line, and WEB_CONCURRENCY for the workers."""
    return Settings((Layer(command.settings), _concurrency(environment)))


def of_gunicorn(
    command: Command,
    environment: Mapping[str, str] | None,
    *,
    pid: int,
    directory: str | None,
    root: Path,
) -> Settings:
    """Gunicorn's settings; `environment` and `directory` are None where they may not be read.

    `root` is the process's file system.
    """
    if command.role == "titled":
        lost = "setproctitle replaced its command line"
        return Settings((HIDDEN,), [_unknown(pid, "settings", lost)])
    line = Layer(command.settings)
    variables, config = _variables(environment)
    config = command.config or config
    if environment is None and config is None:  # GUNICORN_CMD_ARGS may name a file
        return Settings((line, HIDDEN))
    moved = any(layer.settings.get("chdir") for layer in (line, variables))
    path = _path(config, directory, moved=moved)
    file, why = _file(path, root, named=config is not None)
    settings = Settings((line, variables, file, _concurrency(environment)))
    computed = sorted(
        name for name in file.computed - SEEN_LIVE if settings.get(name, "default") is None
    )
    if why:
        what = f"settings in {path or config or 'gunicorn.conf.py'}"
        return replace(settings, unknown=[_unknown(pid, what, why)])
    if computed:
        why = f"computed in {path}, which is never run here"
        return replace(settings, unknown=[_unknown(pid, ", ".join(computed), why)])
    return settings


def worker_class(settings: Settings) -> str | None:
    """Gunicorn's worker class as it is configured; None where that is hidden.

    sync with more than one thread runs as gthread (gunicorn's `worker_class` setting).
    """
    name = settings.get("worker_class", "sync")
    threads = settings.get("threads", 1)
    if not isinstance(name, str):
        return None
    name = name.removeprefix("egg:gunicorn#")
    return "gthread" if name == "sync" and isinstance(threads, int) and threads > 1 else name


def interface(kind: str, worker: str | None, settings: Settings) -> Literal["asgi", "wsgi"] | None:
    """What the app speaks, by the server or the worker class; None for a class not known here."""
    if kind == "uvicorn":
        return "wsgi" if settings.get("interface", None) == "wsgi" else "asgi"
    last = (worker or "").rpartition(".")[2]
    if last == "asgi" or last in ASGI_CLASSES:
        return "asgi"
    return "wsgi" if last in WSGI or last in WSGI_CLASSES else None


def _unknown(pid: int, what: str, why: str) -> Unknown:
    remedy = "`gunicorn --print-config` as its user shows them"
    return Unknown(what=f"{what} of pid {pid} (gunicorn)", why=why, remedy=remedy)


def _variables(environment: Mapping[str, str] | None) -> tuple[Layer, str | None]:
    if environment is None:
        return HIDDEN, None
    try:
        settings, config = commandline.gunicorn_arguments(environment.get("GUNICORN_CMD_ARGS", ""))
    except ValueError:
        return HIDDEN, None
    return Layer(settings), config


def _concurrency(environment: Mapping[str, str] | None) -> Layer:
    if environment is None:
        return Layer({}, frozenset({"workers"}))
    text = environment.get("WEB_CONCURRENCY", "")
    return Layer({"workers": int(text)} if text.isdecimal() else {})


def _path(config: str | None, directory: str | None, *, moved: bool) -> str | None:
    """The configuration file that counts; None where it cannot be told.

    Gunicorn looks for a relative one in the folder that it was started in, which `chdir`
    leaves behind.
    """
    name = (config or "gunicorn.conf.py").removeprefix("file:")
    if name.startswith("python:") or PurePosixPath(name).is_absolute():
        return name
    return None if directory is None or moved else str(PurePosixPath(directory) / name)


def _file(path: str | None, root: Path, *, named: bool) -> tuple[Layer, str | None]:
    """What a configuration file gives, and why that is not all, if it is not."""
    if path is None:
        # A file in the folder it was started in is possible, none is likely.
        why = "looked for in the folder that it was started in, which cannot be seen"
        return HIDDEN if named else Layer({}), why
    if path.startswith("python:"):
        return HIDDEN, "an importable module, which is never imported here"
    try:
        known, computed = gunicorn_file.constants(content(under(root, path), most=MAX_FILE_BYTES))
    except FileNotFoundError:
        return (HIDDEN, "the file is not there any more") if named else (Layer({}), None)
    except OSError as error:
        return HIDDEN, error.strerror or "not readable"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return HIDDEN, "not understood as Python"
    return Layer(known, computed), "a star import may set any" if STAR in computed else None
