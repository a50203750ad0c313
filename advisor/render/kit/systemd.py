"""The app's service, the socket that it takes over, and what both need at boot."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from advisor.errors import InvalidInput
from advisor.render.component import Output
from advisor.render.kit.environment import APP_ENVIRONMENT
from advisor.render.kit.launch import launch
from advisor.render.kit.systemd_folders import folders, has_folders, has_own_user, not_made
from advisor.render.kit.systemd_lines import (
    BACKLOG,
    LIMITS,
    LOCKS,
    QUOTA,
    is_older,
    known,
    missing,
    of_settings,
)
from advisor.render.kit.systemd_names import Units, has_socket, has_unit, slice_name, stem
from advisor.render.kit.systemd_sandbox import sandbox
from advisor.render.place import address, installed, is_unix, proxy_group, stream
from advisor.render.values import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from advisor.render.component import Activation
    from advisor.render.kit.launch import Launch
    from advisor.render.values import Inputs, IntentValues

SETTINGS = tuple(limit.id for limit in (*LIMITS, QUOTA, BACKLOG, *LOCKS))
UNITS = "/etc/systemd/system"
# sysusers.d(5), Name: at most 31 characters.
LONGEST_USER = 31


def context(inputs: Inputs) -> dict[str, Any]:
    """What is started, as whom, within which limits, behind which socket.

    Raises `InvalidInput` where the user's name is longer than systemd takes.
    """
    intent = inputs.intent
    if len(intent.user) > LONGEST_USER:
        raise InvalidInput(
            f"{NAME}: app.user: {intent.user} is longer than {LONGEST_USER} characters",
            remedy="Give a shorter app.user: systemd takes no longer one.",
        )
    # What all units of the app may use together belongs to the slice that holds them.
    slice_ = slice_name(inputs)
    limits = of_settings(inputs, LIMITS if slice_ else (*LIMITS, QUOTA))
    locked = sandbox(inputs)
    return (
        command(inputs)
        | listener(inputs)
        | locked
        | {
            "left_open": [*locked["left_open"], *missing(inputs, limits), *not_made(inputs)],
            "slice": slice_,
            "limits": known(inputs, limits),
            "shared_limits": of_settings(inputs, (QUOTA,)),
            "folders": folders(inputs),
        }
    )


def command(inputs: Inputs) -> dict[str, Any]:
    """How the server is started, reloaded and told of its environment."""
    started = launch(inputs)
    return environment(inputs, started.environment_files) | {
        "server": started.server,
        "type": _type(inputs, started),
        "notifies": started.type == "notify",
        "command": started.command,
        "trial": trial(started),
        "reload_signal": started.reload_signal,
    }


def environment(inputs: Inputs, files: Sequence[str] = ()) -> dict[str, Any]:
    """The app's variables and its files of them, ours (`files`) before the app's own.

    The app starts without its pool sizes too; a server without its own file would be another.
    """
    intent = inputs.intent
    optional = installed(APP_ENVIRONMENT, inputs)
    ours = [f"-{path}" if path == optional else path for path in files]
    theirs = [intent.app_environment_file] if intent.app_environment_file is not None else []
    return {
        "environment": list((intent.app_environment or {}).items()),
        "environment_files": [*ours, *theirs],
    }


def trial(started: Launch) -> tuple[str, ...]:
    """What loads configuration and app and ends, before a reload: none but Gunicorn has it.

    HUP with an app that no longer imports ends the master; `--check-config` imports it, in the
    unit's own sandbox, and where that fails systemd does not go on to the signal.
    """
    if started.server != "Gunicorn":
        return ()
    program, *arguments = started.command
    return (program, "--check-config", *arguments)


def listener(inputs: Inputs) -> dict[str, Any]:
    """The socket unit's name and lines; its name is null where the server listens by itself."""
    intent = inputs.intent
    unix = is_unix(intent)
    group = proxy_group(intent)
    return {
        "socket": f"{stem(intent)}.socket" if has_socket(inputs) else None,
        "proxy": intent.proxy or "nginx",
        "socket_group": group if unix else None,
        "socket_user": intent.user if unix and group is None else None,
        "on_tcp": not unix,
        "free_bind": not unix and _comes_later(intent),
        "backlog": of_settings(inputs, (BACKLOG,)),
    }


def _type(inputs: Inputs, started: Launch) -> str:
    """Before Type=exec a program that is not there counts as started."""
    return "simple" if started.type == "exec" and is_older(inputs, "type_exec") else started.type


def _comes_later(intent: IntentValues) -> bool:
    """Whether a network has to bring the address first; loopback and wildcards are there."""
    found = ipaddress.ip_address(address(stream(intent)))
    return not (found.is_loopback or found.is_unspecified)


def _has_slice(inputs: Inputs) -> bool:
    return slice_name(inputs) is not None


def _output(
    template: str,
    target: str,
    wanted: Callable[[Inputs], bool],
    *,
    path: str | None = None,
    version: int = 1,
    activation: Activation = "restart",
) -> Output:
    """A file of root's that everybody may read, in the tree under the name it has at its target."""
    return Output(
        template=f"systemd/{template}",
        version=version,
        path=f"systemd/{path or target.rpartition('/')[2]}",
        target=target,
        owner="root",
        group="root",
        mode=0o644,
        wanted=wanted,
        checker="systemd",
        activation=activation,
    )


SYSTEMD = Units(
    name="systemd",
    settings=SETTINGS,
    outputs=(
        _output("app.service.j2", f"{UNITS}/{{unit}}", has_unit, version=2),
        _output("app.socket.j2", f"{UNITS}/{{stem}}.socket", has_socket, version=2),
        _output("app.slice.j2", f"{UNITS}/{{slice}}", _has_slice, activation="reload"),
        # Read at boot, and by whoever applies the tree.
        _output(
            "sysusers.conf.j2",
            "/etc/sysusers.d/advisor-{app}.conf",
            has_own_user,
            path="sysusers.conf",
            activation="none",
        ),
        _output(
            "tmpfiles.conf.j2",
            "/etc/tmpfiles.d/advisor-{app}.conf",
            has_folders,
            path="tmpfiles.conf",
            activation="none",
        ),
    ),
    context=context,
)
