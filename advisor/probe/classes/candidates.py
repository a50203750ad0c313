"""Which worker classes a server's environment offers, and the command of each. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where it listens: a port is chosen when it is started, and stands here until then.
HOST = "127.0.0.1"
PORT = "{port}"
# In the working directory of the server, which is a folder of its own.
SETTINGS = "gunicorn.conf.py"
# Gunicorn >= 25.1 opens a control socket in the user's home unless told not to. In a file, because
# older ones refuse flags that they do not know and skip such names (Application.load_config).
SETTINGS_TEXT = "control_socket_disable = True\n"
APPS = {"wsgi": "null_app:wsgi", "asgi": "null_app:app"}
THREADS = "8"
# Under one worker its threads hand the interpreter's lock from core to core: gthread took 120 to
# 256 µs of CPU a null request with one worker, 95 to 98 with two on two cores.
WORKERS = 2
# Its own asgi worker came with it (gunicorn 24.0: changelog).
OWN_ASGI = 24


@dataclass(frozen=True)
class Candidate:
    """A worker class, named as `Target.worker_class` has it, and what runs a null app under it.

    `command` is a module and its arguments, as after `python -m`, with `PORT` for the port, and
    starts so many `workers`.
    """

    name: str
    command: tuple[str, ...]
    workers: int = 1

    def listening_at(self, port: int) -> tuple[str, ...]:
        """The command with that port."""
        return tuple(word.replace(PORT, str(port)) for word in self.command)


def candidates(kind: str, interface: str, packages: Mapping[str, str]) -> tuple[Candidate, ...]:
    """The classes to calibrate for a server of that kind, in an environment with these packages.

    Gunicorn's where it is there; a plain Uvicorn, which runs the same code as its Gunicorn
    worker, only without it; Hypercorn and Granian where they are the server.

    >>> [each.name for each in candidates("gunicorn", "wsgi", {"gunicorn": "27.0.1"})]
    ['sync', 'gthread']
    """
    if interface not in APPS:
        return ()
    app = APPS[interface]
    found = [_OTHERS[kind](interface, app)] if kind in _OTHERS and kind in packages else []
    if "gunicorn" in packages:
        names = ["sync", "gthread"] if interface == "wsgi" else _loops(packages)
        found += [_gunicorn(name, app) for name in names]
    elif interface == "asgi" and "uvicorn" in packages:
        found.append(_uvicorn(app))
    return tuple(found)


def _loops(packages: Mapping[str, str]) -> list[str]:
    names = []
    if "uvicorn" in packages:
        new = "uvicorn-worker" in packages
        names.append("uvicorn_worker.UvicornWorker" if new else "uvicorn.workers.UvicornWorker")
    major = re.match(r"\d+", packages["gunicorn"])
    if major and int(major[0]) >= OWN_ASGI:
        names.append("asgi")
    return names


def _gunicorn(name: str, app: str) -> Candidate:
    place = ("--config", SETTINGS, "--bind", f"{HOST}:{PORT}", "--log-level", "error")
    threads = ("--threads", THREADS) if name == "gthread" else ()
    shape = ("--workers", str(WORKERS), "--worker-class", name, *threads)
    # `python -m gunicorn` came late; this module has always been runnable.
    return Candidate(name, ("gunicorn.app.wsgiapp", *place, *shape, app), WORKERS)


def _uvicorn(app: str) -> Candidate:
    quiet = ("--log-level", "error", "--no-access-log")
    return Candidate("uvicorn", ("uvicorn", "--host", HOST, "--port", PORT, *quiet, app))


def _hypercorn(interface: str, app: str) -> Candidate:
    place = ("--bind", f"{HOST}:{PORT}", "--workers", "0", "--log-level", "error")
    return Candidate("hypercorn", ("hypercorn", *place, f"{interface}:{app}"))


def _granian(interface: str, app: str) -> Candidate:
    threads = ("--blocking-threads", THREADS) if interface == "wsgi" else ()
    shape = ("--interface", interface, "--workers", "1", *threads, "--log-level", "error")
    name = "granian-wsgi" if interface == "wsgi" else "granian"
    return Candidate(name, ("granian", "--host", HOST, "--port", PORT, *shape, app))


_OTHERS = {"hypercorn": _hypercorn, "granian": _granian}
