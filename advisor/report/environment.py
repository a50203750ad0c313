"""A recommendation as a container's entrypoint takes it: shell assignments and nothing else.

    eval "$(advisor recommend --measurement m.json --format env)"
    exec gunicorn shop.main:app

Only the app server's own settings fit there; a proxy's, systemd's and the app's do not.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Recommendation, Value

Values = dict[str, "Value"]

# Gunicorn's options that are spelt otherwise than their settings, and settings without one
# (gunicorn: settings, each with its "Command line").
SPELT = {
    "keepalive": "keep-alive",
    "preload_app": "preload",
    "control_socket_disable": "no-control-socket",
    "limit_request_field_size": "limit-request-field_size",
}
WITHOUT_OPTION = frozenset({"secure_scheme_headers", "logconfig_dict", "tmp_upload_dir"})
# Uvicorn reads its number of workers from here, run from Python too; the rest is its options'.
WEB_CONCURRENCY = "WEB_CONCURRENCY"


def environment(rec: Recommendation) -> str:
    """A line `export NAME=VALUE` for each variable, quoted for a POSIX shell.

    Gunicorn takes its options from GUNICORN_CMD_ARGS, Uvicorn (0.16 on) and Granian each from a
    variable with their name before it. What is null is left to the product. Raises
    `InvalidInput` for a server that reads no environment.
    """
    server = str(rec.intent["server"].value) if "server" in rec.intent else "gunicorn"
    values: Values = {
        setting.id.partition(".")[2]: setting.value
        for setting in rec.settings
        if setting.id.startswith(f"{server}.") and setting.value is not None
    }
    match server:
        case "gunicorn":
            variables = _gunicorn(values)
        case "uvicorn":
            variables = _uvicorn(values)
        case "granian":
            variables = _prefixed("GRANIAN", values)
        case _:
            raise InvalidInput(
                f"--format env: {server} reads none of its settings from the environment",
                remedy="Give them on its command line; --format json has every value.",
            )
    return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in variables)


def option(name: str) -> str | None:
    """Gunicorn's command-line option of a setting; None where it has none.

    >>> option("worker_class"), option("keepalive"), option("logconfig_dict")
    ('--worker-class', '--keep-alive', None)
    """
    if name in WITHOUT_OPTION:
        return None
    return f"--{SPELT.get(name) or name.replace('_', '-')}"


def _gunicorn(values: Values) -> Iterator[tuple[str, str]]:
    if "workers" in values:
        yield WEB_CONCURRENCY, _text(values["workers"])
    words = [word for name, value in values.items() for word in _words(name, value)]
    # Gunicorn splits this one as a shell would, so each word is quoted on its own.
    yield "GUNICORN_CMD_ARGS", shlex.join(words)


def _words(name: str, value: Value) -> Iterator[str]:
    """The option with its value, once for each of a list; a switch that is off has no option."""
    spelt = option(name)
    if spelt is None or value is False:
        return
    match value:
        case True:
            yield spelt
        case list(parts):
            for part in parts:
                yield f"{spelt}={part}"
        case one:
            yield f"{spelt}={one}"


def _uvicorn(values: Values) -> Iterator[tuple[str, str]]:
    rest = dict(values)
    if (workers := rest.pop("workers", None)) is not None:
        yield WEB_CONCURRENCY, _text(workers)
    yield from _prefixed("UVICORN", rest)


def _prefixed(prefix: str, values: Values) -> Iterator[tuple[str, str]]:
    """Click's own names of options' variables, as the servers that it reads the line for take."""
    for name, value in values.items():
        yield f"{prefix}_{name.upper()}", _text(value)


def _text(value: Value) -> str:
    match value:
        case bool(on):
            return "true" if on else "false"
        case list(parts):
            return " ".join(map(str, parts))
        case one:
            return str(one)
