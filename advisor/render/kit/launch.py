"""How each app server is started by systemd: its command, its kind of unit, its reload.

The command says what the app is and where it listens; how it serves stands in the server's own
file (gunicorn.conf.py, uvicorn.env, hypercorn.toml, granian.env).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.errors import InvalidInput
from advisor.render.kit import environment
from advisor.render.place import address, installed, is_unix, program, stream
from advisor.render.values import NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.render.values import Inputs

APP_ENVIRONMENT = environment.APP_ENVIRONMENT
# --uds-permissions (granian#697); without it the proxy's group could not open the socket.
UDS_PERMISSIONS = (2, 6)


@dataclass(frozen=True)
class Launch:
    """What a service's unit has to know of the server it starts.

    `command` is ExecStart's words. `type` is systemd's: only Gunicorn says when it is up
    (sd_notify). `reload_signal` is what makes the master take a new configuration, null where
    only a restart does. `environment_files` are files of our tree, as the target finds them,
    read before the app's own. `takes_socket` is false where the server cannot take over the
    socket unit's descriptor: then there is no socket unit.

    Where such a server makes a unix socket itself, `socket_directory` is the folder it needs
    for that: owned by the app's user, of the group of `place.proxy_group`, mode 2750, and empty
    at each start. The bit makes the socket (0660) the group's, the folder keeps everybody else
    out, and a socket that a killed server left would keep the next one from binding.
    """

    server: str
    command: tuple[str, ...]
    type: Literal["notify", "exec"]
    reload_signal: Literal["HUP"] | None
    environment_files: tuple[str, ...] = ()
    takes_socket: bool = True
    socket_directory: str | None = None


def launch(inputs: Inputs) -> Launch:
    """The launch of the app's server.

    It takes over the socket of our own unit; beside a unit that exists it listens itself.
    Where the server is not ours to manage, it gets none of our files, and Gunicorn reads
    gunicorn.conf.py in the working directory. Raises `InvalidInput` for an app that the server
    cannot run, and for a unix socket under a Granian that cannot keep others out of it.
    """
    return _LAUNCHES[inputs.intent.runs_on](inputs)


def is_handed_over(inputs: Inputs) -> bool:
    """Whether the socket is that of our own unit, which only the proxy's group may open."""
    return "systemd" in inputs.manages and not inputs.intent.is_dropin


def _gunicorn(inputs: Inputs) -> Launch:
    """HUP makes the master read the file again; the environment stays what it was.

    Descriptors of a socket unit come before --bind (gunicorn/sock.py, create_sockets).
    """
    config = installed("gunicorn/gunicorn.conf.py", inputs)
    ours = "server" in inputs.manages
    command = (
        program(inputs, "gunicorn"),
        *(("-c", config) if ours else ()),
        *(() if is_handed_over(inputs) else ("--bind", _bind(inputs))),
        *(() if ours and inputs.can("gunicorn.wsgi_app") else (inputs.intent.app_module,)),
    )
    return Launch("Gunicorn", command, "notify", "HUP", _environment_files(inputs))


def _uvicorn(inputs: Inputs) -> Launch:
    """HUP renews the workers with the options that the manager was started with."""
    listens = ("--fd", "3") if is_handed_over(inputs) else _itself(inputs)
    _refuse_wsgi(inputs, "Uvicorn")
    if ":" not in inputs.intent.app_module:
        raise InvalidInput(
            f"{NAME}: app.module is {inputs.intent.app_module}, which names no app in the module",
            remedy=f"Uvicorn guesses none: write {inputs.intent.app_module}:app, or what it is.",
        )
    command = (program(inputs, "uvicorn"), *listens, *_app(inputs))
    files = _environment_files(inputs, "uvicorn/uvicorn.env")
    return Launch("Uvicorn", command, "exec", None, files)


def _hypercorn(inputs: Inputs) -> Launch:
    """HUP renews the workers with the settings of the start (0.18, run.py).

    A factory is called where it is written with its parentheses (utils.py, load_application).
    """
    config = installed("hypercorn/hypercorn.toml", inputs)
    bind = "fd://3" if is_handed_over(inputs) else _bind(inputs)
    _refuse_wsgi(inputs, "Hypercorn")
    # It would leave a socket of its own 0755, closed to the proxy's group; 7 is the mask 007.
    own = not is_handed_over(inputs) and is_unix(inputs.intent)
    command = (
        program(inputs, "hypercorn"),
        *(("-c", config) if "server" in inputs.manages else ()),
        *(("--umask", "7") if own else ()),
        *("--bind", bind, inputs.intent.app_module),
    )
    return Launch("Hypercorn", command, "exec", None, _environment_files(inputs))


def _granian(inputs: Inputs) -> Launch:
    """It takes no descriptor (2.8: neither an option nor LISTEN_FDS), so it listens itself."""
    unix = is_unix(inputs.intent)
    known = inputs.versions.get("granian")
    if unix and known is not None and known < UDS_PERMISSIONS:
        raise InvalidInput(
            f"{NAME}: listen: Granian {inputs.found('granian')} cannot open a unix socket to its "
            "proxy alone: it needs 2.6",
            remedy="Set listen: 127.0.0.1:8000 in advisor.yml, or update Granian.",
        )
    command = (
        *(program(inputs, "granian"), "--interface", inputs.intent.app_interface),
        *_itself(inputs),
        *(("--uds-permissions", "0660") if unix else ()),
        *_app(inputs),
    )
    return Launch(
        server="Granian",
        command=command,
        type="exec",
        reload_signal=None,
        environment_files=_environment_files(inputs, "granian/granian.env"),
        takes_socket=False,
        socket_directory=posixpath.dirname(stream(inputs.intent)) if unix else None,
    )


_LAUNCHES: dict[str, Callable[[Inputs], Launch]] = {
    "gunicorn": _gunicorn,
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "granian": _granian,
}


def _itself(inputs: Inputs) -> tuple[str, ...]:
    """Uvicorn's and Granian's words for what they open themselves."""
    where = stream(inputs.intent)
    if is_unix(inputs.intent):
        return ("--uds", where)
    return ("--host", address(where), "--port", where.rpartition(":")[2])


def _bind(inputs: Inputs) -> str:
    """The same as one word, which Gunicorn and Hypercorn know."""
    where = stream(inputs.intent)
    return f"unix:{where}" if is_unix(inputs.intent) else where


def _app(inputs: Inputs) -> tuple[str, ...]:
    """The app, or its factory, which Uvicorn and Granian take without its parentheses."""
    module = inputs.intent.app_module
    factory = module.removesuffix("()")
    return (module,) if factory == module else ("--factory", factory)


def _environment_files(inputs: Inputs, *own: str) -> tuple[str, ...]:
    """The server's own variables, where it is ours, and those of the app that are rendered."""
    files = (
        *(own if "server" in inputs.manages else ()),
        *((APP_ENVIRONMENT,) if environment.wanted(inputs) else ()),
    )
    return tuple(installed(path, inputs) for path in files)


def _refuse_wsgi(inputs: Inputs, server: str) -> None:
    if inputs.intent.app_interface == "wsgi":
        raise InvalidInput(
            f"{NAME}: app.interface is wsgi, and {server} runs ASGI apps here",
            remedy="Take gunicorn or granian as the server, or set app.interface.",
        )
