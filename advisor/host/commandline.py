"""Which app server a command line starts, and with which settings.

Pure: from the words of /proc/PID/cmdline to a `Command`. Nothing of the server is run.
"""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from advisor.host import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Scalar

# Python's options before the script that take their value as the next word (python --help).
PYTHON_VALUED = {"-W", "-X", "--check-hash-based-pycs"}
PYTHON = re.compile(r"(?:python|pypy)[\d.]*(?:t|d)?")
TITLE = re.compile(r"gunicorn: (?P<role>master|worker) \[(?P<name>[^\]]*)\]")
GRANIAN_TITLE = re.compile(
    r"granian (?P<interface>asgi|asginl|rsgi|wsgi) (?P<bind>\S+) (?P<app>\S+?)"
    r"(?P<worker> worker-\d+)? *"
)
MODULE = re.compile(r"[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*(?:\(.*\))?)?")
MODULES = {
    "gunicorn": "gunicorn",
    "gunicorn.app.wsgiapp": "gunicorn",
    "uvicorn": "uvicorn",
    "uvicorn.main": "uvicorn",
    "fastapi": "fastapi",
    "fastapi_cli": "fastapi",
    "hypercorn": "hypercorn",
    "granian": "granian",
    "granian.cli": "granian",
}
NUMBER = re.compile(r"-?\d{1,15}")


@dataclass(frozen=True)
class Command:
    """A process of an app server.

    `role` is what the command line shows: a "server" may be master or worker (Gunicorn's
    and Granian's workers keep the master's), "spawned" is a child that multiprocessing
    started, "titled" is a master that setproctitle renamed, its arguments lost. `variables`
    is the prefix of the environment's variables that count like options.
    """

    kind: Literal["gunicorn", "uvicorn", "hypercorn", "granian", "spawned"]
    role: Literal["server", "titled", "titled worker", "spawned"]
    app: str | None = None
    settings: dict[str, Scalar] = field(default_factory=dict)
    config: str | None = None
    program: tuple[str, ...] = ()
    variables: Literal["UVICORN_", "GRANIAN_"] | None = None


def parse(argv: Sequence[str]) -> Command | None:
    """The app server that these words start, or None.

    >>> parse(["/srv/venv/bin/python", "/srv/venv/bin/gunicorn", "-w", "2", "shop:app"]).settings
    {'workers': 2}
    >>> parse(["nginx: master process"]) is None
    True
    """
    if not argv:
        return None
    if titled := _titled(" ".join(argv)):  # a reader of /proc may have split it at its blanks
        return titled
    program, arguments, code = _program(list(argv))
    if code is not None:
        spawned = "multiprocessing.spawn" in code and "spawn_main" in code
        return Command("spawned", "spawned", program=(argv[0],)) if spawned else None
    if program is None:
        return None
    words = tuple(dict.fromkeys((argv[0], *argv[1:2])))
    try:
        command = READERS[program](arguments)
    except ValueError:  # no command line that this server would accept
        return None
    return replace(command, program=words) if command else None


def is_python(argv: Sequence[str]) -> bool:
    """Whether the words start a Python interpreter."""
    return bool(argv) and PYTHON.fullmatch(PurePosixPath(argv[0]).name) is not None


def gunicorn_arguments(text: str) -> tuple[dict[str, Scalar], str | None]:
    """The settings of GUNICORN_CMD_ARGS, and the configuration file it names.

    `ValueError` where it makes no sense.
    """
    command = _gunicorn(shlex.split(text))
    return command.settings, command.config


def as_scalar(value: object) -> Scalar:
    """A setting as the documents carry it: numbers as numbers, several sockets as one text."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _titled(words: str) -> Command | None:
    """A server that setproctitle renamed, by the titles that Gunicorn and Granian give."""
    if title := TITLE.match(words):
        app = title["name"] if ":" in title["name"] and MODULE.fullmatch(title["name"]) else None
        role: Any = "titled" if title["role"] == "master" else "titled worker"
        return Command("gunicorn", role, app=app)
    if title := GRANIAN_TITLE.fullmatch(words):
        settings: dict[str, Scalar] = {"interface": title["interface"], "bind": title["bind"]}
        role = "titled worker" if title["worker"] else "titled"
        return Command("granian", role, app=title["app"], settings=settings)
    return None


def _program(argv: list[str]) -> tuple[str | None, list[str], str | None]:
    """The server's name, its arguments, and the code of a `python -c`."""
    if not is_python(argv):
        name = PurePosixPath(argv[0]).name
        return (name if name in READERS else None), argv[1:], None
    rest = argv[1:]
    while rest:
        word = rest.pop(0)
        if word in PYTHON_VALUED:
            rest = rest[1:]
        elif word.startswith("-") and not word.startswith("--"):
            # Short options run together, and -c and -m end them: "-Bm gunicorn", "-mgunicorn".
            last = re.search(r"[cm]", word)
            if word[1:2] in {"W", "X"} or not last:
                continue
            value = word[last.end() :] or (rest.pop(0) if rest else "")
            return (None, [], value) if last[0] == "c" else (MODULES.get(value), rest, None)
        elif not word.startswith("-"):
            script = PurePosixPath(word).name
            return (script if script in READERS else None), rest, None
    return None, [], None


def _gunicorn(arguments: list[str]) -> Command:
    values, words = options.parse("gunicorn", arguments)
    config = values.pop("config", None)
    settings = {name: as_scalar(value) for name, value in values.items()}
    return Command("gunicorn", "server", app=_app(words), settings=settings, config=config)


def _uvicorn(arguments: list[str]) -> Command | None:
    values, words = options.parse("uvicorn", arguments)
    settings = {name: as_scalar(value) for name, value in values.items()}
    app = _app(words)
    if app is None:
        return None
    if settings.get("factory"):
        app = f"{app}()"
    return Command("uvicorn", "server", app=app, settings=settings, variables="UVICORN_")


def _hypercorn(arguments: list[str]) -> Command | None:
    """Hypercorn calls a module's `app` where none is named, and takes `wsgi:` before it."""
    values, words = options.parse("hypercorn", arguments)
    config = values.pop("config", None)
    settings = {name: as_scalar(value) for name, value in values.items()}
    if not words:
        return None
    for mode in ("asgi", "wsgi"):
        if any(word.startswith(f"{mode}:") and word.count(":") == 2 for word in words):
            settings["mode"] = mode
    app = _app([word.removeprefix(f"{settings.get('mode')}:") for word in words])
    if app and ":" not in app:
        app = f"{app}:app"
    return Command("hypercorn", "server", app=app, settings=settings, config=config)


def _granian(arguments: list[str]) -> Command | None:
    values, words = options.parse("granian", arguments)
    settings = {name: as_scalar(value) for name, value in values.items()}
    app = _app(words)
    if app is None:
        return None
    if settings.get("factory"):
        app = f"{app}()"
    return Command("granian", "server", app=app, settings=settings, variables="GRANIAN_")


def _fastapi(arguments: list[str]) -> Command | None:
    """`fastapi run` listens on every address, `fastapi dev` reloads; both start Uvicorn.

    Which object of the file is the app FastAPI finds by importing it: unless it is named,
    it is unknown here.
    """
    values, words = options.parse("fastapi", arguments)
    if not words or words[0] not in {"run", "dev"}:
        return None
    entrypoint, name = values.pop("entrypoint", None), values.pop("app", None)
    path = PurePosixPath(words[1]) if len(words) > 1 else None
    app = entrypoint or (f"{path.stem}:{name}" if path and name else None)
    if words[0] == "dev":
        values.setdefault("reload", "--no-reload" not in arguments)
    else:
        values.setdefault("host", "0.0.0.0")  # noqa: S104 - what `fastapi run` does, reported
    settings = {name: as_scalar(value) for name, value in values.items()}
    return Command("uvicorn", "server", app=app, settings=settings)


def _app(words: list[str]) -> str | None:
    """The word that names the app: the value of an option unknown here may stand before it."""
    modules = [word for word in words if MODULE.fullmatch(word)]
    return next((word for word in modules if ":" in word), None) or next(iter(modules), None)


READERS = {
    "gunicorn": _gunicorn,
    "uvicorn": _uvicorn,
    "fastapi": _fastapi,
    "hypercorn": _hypercorn,
    "granian": _granian,
}
