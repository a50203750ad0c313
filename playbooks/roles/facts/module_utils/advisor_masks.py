# ruff: noqa: INP001 - found by its folder; paths are bytes
"""What of command lines and environments leaves the host: no secret, and no stranger's setting."""

from __future__ import annotations

import os
import re
import shlex

MASK = "***"
SECRET_OPTIONS = frozenset({"--ssl-keyfile-password", "--keyfile-password"})
ASSIGNED = re.compile(r"(\w*(?:PASS(?:WORD)?|SECRET|TOKEN|KEY)\w*=).+", re.IGNORECASE | re.DOTALL)
ARGUMENTS = "GUNICORN_CMD_ARGS"
# The variables that configure an app server; a test holds them equal to those that are read.
VARIABLES = frozenset(
    (
        *(ARGUMENTS, "GUNICORN_PID", "WEB_CONCURRENCY"),
        *("UVICORN_HOST", "UVICORN_PORT", "UVICORN_UDS", "UVICORN_WORKERS", "UVICORN_LOOP"),
        *("UVICORN_HTTP", "UVICORN_INTERFACE", "UVICORN_BACKLOG", "UVICORN_LIMIT_CONCURRENCY"),
        *("UVICORN_LIMIT_MAX_REQUESTS", "UVICORN_TIMEOUT_KEEP_ALIVE"),
        "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN",
        *("GRANIAN_HOST", "GRANIAN_PORT", "GRANIAN_UDS", "GRANIAN_INTERFACE", "GRANIAN_WORKERS"),
        *("GRANIAN_BLOCKING_THREADS", "GRANIAN_RUNTIME_THREADS", "GRANIAN_RUNTIME_MODE"),
        *("GRANIAN_BACKLOG", "GRANIAN_BACKPRESSURE", "GRANIAN_LOOP"),
    )
)


def words_of(cmdline: bytes) -> list[str]:
    """The words of a command line as the kernel has it."""
    return [os.fsdecode(word) for word in cmdline.split(b"\0")]


def line(cmdline: bytes) -> bytes:
    """A command line as the kernel has it, without its secrets."""
    return b"\0".join(map(os.fsencode, masked(words_of(cmdline))))


def chosen(environ: bytes) -> bytes:
    """Of an environment, as the kernel has it, the variables that configure an app server."""
    pairs = (os.fsdecode(entry).partition("=") for entry in environ.split(b"\0"))
    kept = {name: value for name, _, value in pairs if name in VARIABLES}
    if ARGUMENTS in kept:
        kept[ARGUMENTS] = _arguments(kept[ARGUMENTS])
    return b"".join(os.fsencode(f"{name}={value}\0") for name, value in kept.items())


def arguments(environ: bytes) -> list[str]:
    """The words of GUNICORN_CMD_ARGS in an environment; none where they make no sense."""
    pairs = (os.fsdecode(entry).partition("=") for entry in environ.split(b"\0"))
    try:
        return [word for name, _, text in pairs if name == ARGUMENTS for word in shlex.split(text)]
    except ValueError:
        return []


def masked(words: list[str]) -> list[str]:
    """Words of a command line, the values of secret options and variables masked.

    >>> masked(["gunicorn", "-e", "API=1", "--keyfile-password", "x", "--token=y", "app:app"])
    ['gunicorn', '-e', 'API=***', '--keyfile-password', '***', '--token=***', 'app:app']
    """
    return [_masked(before, word) for before, word in zip(["", *words], words)]  # noqa: B905 - Python 3.9


def _masked(before: str, word: str) -> str:
    option, equals, value = word.partition("=")
    if before in SECRET_OPTIONS:
        return MASK
    if option in SECRET_OPTIONS and equals:
        return f"{option}={MASK}"
    if option == "--env" and "=" in value:
        return f"{option}={value.partition('=')[0]}={MASK}"
    if equals and (before in {"-e", "--env"} or option.startswith("-e")):
        return f"{option}={MASK}"
    return ASSIGNED.sub(rf"\1{MASK}", word)


def _arguments(text: str) -> str:
    """Arguments in one text; what makes no sense to a shell makes none then either."""
    try:
        return " ".join(map(shlex.quote, masked(shlex.split(text))))
    except ValueError:
        return "'"
