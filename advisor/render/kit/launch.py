"""How each app server is started by systemd: its command, its kind of unit, its reload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.render.place import installed, program

if TYPE_CHECKING:
    from advisor.render.values import Inputs


@dataclass(frozen=True)
class Launch:
    """What a service's unit has to know of the server it starts.

    `command` is ExecStart's words. `type` is systemd's: only Gunicorn says when it is up
    (sd_notify). `reload_signal` is what makes the master take a new configuration, null where
    only a restart does. `environment_files` are files of our tree, read before the app's own.
    `takes_socket` is false where the server cannot take over the socket unit's descriptor.
    """

    server: str
    command: tuple[str, ...]
    type: Literal["notify", "exec"]
    reload_signal: Literal["HUP"] | None
    environment_files: tuple[str, ...] = ()
    takes_socket: bool = True


def launch(inputs: Inputs) -> Launch:
    """The launch of the app's server.

    Where the server's configuration is not ours to manage, Gunicorn reads gunicorn.conf.py in
    the working directory.
    """
    command = (
        (program(inputs, "gunicorn"), "-c", installed("gunicorn/gunicorn.conf.py", inputs))
        if "server" in inputs.manages
        else (program(inputs, "gunicorn"), inputs.intent.app_module)
    )
    return Launch("Gunicorn", command, "notify", "HUP")
