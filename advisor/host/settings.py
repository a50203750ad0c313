"""The settings a server runs with, from everything that gives it any.

Gunicorn's precedence: command line, GUNICORN_CMD_ARGS, configuration file, WEB_CONCURRENCY.
Uvicorn's and Granian's: command line, variables. Hypercorn's: command line, configuration file.
A source that may not be read hides what it might have said: a setting below it is unknown,
not the default.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from advisor.documents import Unknown
from advisor.host import commandline, options, python_file
from advisor.host.python_file import STAR
from advisor.host.tree import content, under

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from advisor.documents import Scalar
    from advisor.host.commandline import Command

MAX_FILE_BYTES = 1024**2
# Seen on the live processes and sockets, whatever the file says.
SEEN_LIVE = {"workers", "bind"}
WSGI = {"sync", "gthread", "gevent", "gevent_wsgi", "gevent_pywsgi", "eventlet", "tornado"}
WSGI_CLASSES = {"SyncWorker", "ThreadWorker", "GeventWorker", "EventletWorker", "TornadoWorker"}
ASGI_CLASSES = {"UvicornWorker", "UvicornH11Worker", "ASGIWorker"}


# Granian's names; asginl is ASGI without its lifespan.
SPOKEN: dict[str, Literal["asgi", "wsgi"]] = {"asgi": "asgi", "asginl": "asgi", "wsgi": "wsgi"}


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
class _Place:
    """Whose settings are looked for, and where its relative paths begin."""

    kind: str
    pid: int
    directory: str | None
    root: Path

    def unknown(self, what: str, why: str) -> Unknown:
        """What could not be read of its settings."""
        remedy = (
            "`gunicorn --print-config` as its user shows them"
            if self.kind == "gunicorn"
            else "give it as an option of the command line, which can be seen"
        )
        return Unknown(what=f"{what} of pid {self.pid} ({self.kind})", why=why, remedy=remedy)


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


def of(
    command: Command,
    environment: Mapping[str, str] | None,
    *,
    pid: int,
    directory: str | None,
    root: Path,
) -> Settings:
    """A server's settings; `environment` and `directory` are None where they may not be read.

    `root` is the process's file system.
    """
    place = _Place(command.kind, pid, directory, root)
    if command.role == "titled":
        lost = "setproctitle replaced its command line"
        return Settings((Layer(command.settings), HIDDEN), [place.unknown("settings", lost)])
    match command.kind:
        case "gunicorn":
            return _of_gunicorn(command, environment, place)
        case "hypercorn":
            return _of_hypercorn(command, place)
    layers = (Layer(command.settings), _named(command.variables, environment))
    counts = command.kind == "uvicorn"  # Granian knows no WEB_CONCURRENCY
    return Settings((*layers, _concurrency(environment)) if counts else layers)


def worker_class(kind: str, settings: Settings) -> str | None:
    """The class of the workers; None where that is hidden.

    Gunicorn's as it is configured, and sync with more than one thread as the gthread that it
    then is (gunicorn's `worker_class` setting). Another server's is its kind, and
    `granian-wsgi` where Granian's requests run in threads.
    """
    if kind == "granian":
        speaks = settings.get("interface", "rsgi")
        return {None: None, "wsgi": "granian-wsgi"}.get(str(speaks) if speaks else None, "granian")
    if kind != "gunicorn":
        return kind
    name = settings.get("worker_class", "sync")
    threads = settings.get("threads", 1)
    if not isinstance(name, str):
        return None
    name = name.removeprefix("egg:gunicorn#")
    return "gthread" if name == "sync" and isinstance(threads, int) and threads > 1 else name


def threads(kind: str, version: str | None, settings: Settings) -> int | None:
    """Threads a worker runs requests in; None where that is hidden.

    Granian 2's default for WSGI is half of its backpressure, which is the backlog's share of
    a worker (granian.server.common, AbstractServer.__init__).
    """
    value = settings.get("threads", 1)
    if kind == "granian":
        speaks = settings.get("interface", "rsgi")
        value = settings.get("blocking_threads", "default")
        if speaks != "wsgi":
            value = 1 if speaks else None
        elif value == "default":
            held = [settings.get("backlog", 1024), settings.get("workers", 1)]
            backlog, workers = (each if isinstance(each, int) and each > 0 else 0 for each in held)
            pressure = settings.get("backpressure", backlog // workers if workers else None)
            old = (version or "").partition(".")[0] != "2"
            value = None if old or not isinstance(pressure, int) else max(1, pressure // 2)
    return value if type(value) is int and value >= 0 else None


def _named(prefix: str | None, environment: Mapping[str, str] | None) -> Layer:
    """The options that variables give."""
    names = options.VARIABLES.get(prefix or "", ())
    if environment is None:
        return Layer({}, frozenset(names))
    given = {name: environment.get(f"{prefix}{name.upper()}") for name in names}
    return Layer({name: commandline.as_scalar(text) for name, text in given.items() if text})


def _of_hypercorn(command: Command, place: _Place) -> Settings:
    line = Layer(command.settings)
    if command.config is None:
        return Settings((line,))
    path = _path(command.config, place.directory, moved=False)
    is_python = command.config.startswith("file:")
    file, why = _file(path, place.root, _hypercorn_python if is_python else _toml, named=True)
    what = f"settings in {path or command.config}"
    return Settings((line, file), [place.unknown(what, why)] if why else [])


def _hypercorn_python(source: bytes) -> Layer:
    return Layer(*python_file.constants(source, options.HYPERCORN_SETTINGS))


def _toml(source: bytes) -> Layer:
    """A TOML file of Hypercorn's; `ValueError` where it is none."""
    values = tomllib.loads(source.decode())
    known = {name: value for name, value in values.items() if name in options.HYPERCORN_SETTINGS}
    return Layer({name: commandline.as_scalar(value) for name, value in known.items()})


def _of_gunicorn(
    command: Command, environment: Mapping[str, str] | None, place: _Place
) -> Settings:
    line = Layer(command.settings)
    variables, config = _variables(environment)
    config = command.config or config
    if environment is None and config is None:  # GUNICORN_CMD_ARGS may name a file
        return Settings((line, HIDDEN))
    moved = any(layer.settings.get("chdir") for layer in (line, variables))
    path = _path(config or "gunicorn.conf.py", place.directory, moved=moved)
    file, why = _file(path, place.root, _gunicorn_python, named=config is not None)
    settings = Settings((line, variables, file, _concurrency(environment)))
    computed = sorted(
        name for name in file.computed - SEEN_LIVE if settings.get(name, "default") is None
    )
    if why:
        what = f"settings in {path or config or 'gunicorn.conf.py'}"
        return replace(settings, unknown=[place.unknown(what, why)])
    if computed:
        why = f"computed in {path}, which is never run here"
        return replace(settings, unknown=[place.unknown(", ".join(computed), why)])
    return settings


def _gunicorn_python(source: bytes) -> Layer:
    return Layer(*python_file.constants(source, options.GUNICORN_SETTINGS))


def interface(kind: str, worker: str | None, settings: Settings) -> Literal["asgi", "wsgi"] | None:
    """What the app speaks, by the server or the worker class; None for a class not known here."""
    if kind == "uvicorn":
        return "wsgi" if settings.get("interface", None) == "wsgi" else "asgi"
    if kind in {"granian", "hypercorn"}:
        # RSGI is neither; Hypercorn looks at the app itself where nothing is said.
        says = settings.get("interface" if kind == "granian" else "mode", None)
        return SPOKEN.get(str(says))
    last = (worker or "").rpartition(".")[2]
    if last == "asgi" or last in ASGI_CLASSES:
        return "asgi"
    return "wsgi" if last in WSGI or last in WSGI_CLASSES else None


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


def _path(config: str, directory: str | None, *, moved: bool) -> str | None:
    """The configuration file that counts; None where it cannot be told.

    A relative one is looked for in the folder that the server was started in, which
    Gunicorn's `chdir` leaves behind.
    """
    name = config.removeprefix("file:")
    if name.startswith("python:") or PurePosixPath(name).is_absolute():
        return name
    return None if directory is None or moved else str(PurePosixPath(directory) / name)


def _file(
    path: str | None, root: Path, read: Callable[[bytes], Layer], *, named: bool
) -> tuple[Layer, str | None]:
    """What a configuration file gives, and why that is not all, if it is not."""
    if path is None:
        # A file in the folder it was started in is possible, none is likely.
        why = "looked for in the folder that it was started in, which cannot be seen"
        return HIDDEN if named else Layer({}), why
    if path.startswith("python:"):
        return HIDDEN, "an importable module, which is never imported here"
    try:
        layer = read(content(under(root, path), most=MAX_FILE_BYTES))
    except FileNotFoundError:
        return (HIDDEN, "the file is not there any more") if named else (Layer({}), None)
    except OSError as error:
        return HIDDEN, error.strerror or "not readable"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return HIDDEN, "not understood as Python" if read is not _toml else "not understood as TOML"
    return layer, "a star import may set any" if STAR in layer.computed else None
