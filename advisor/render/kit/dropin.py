"""Our part of a service that exists: systemd reads it after the unit's own file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Output
from advisor.render.kit import systemd
from advisor.render.kit.systemd_lines import (
    LIMITS,
    LOCKS,
    QUOTA,
    assumed,
    known,
    missing,
    of_settings,
)
from advisor.render.kit.systemd_names import Units, has_command, has_dropin, unit
from advisor.render.kit.systemd_sandbox import socket_folder

if TYPE_CHECKING:
    from advisor.render.values import Inputs


def context(inputs: Inputs) -> dict[str, Any]:
    """The limits, and the command where the server is ours.

    Whose unit it is decided on its sandbox: ours has no part in it but its two switches that
    advisor.yml may pin, and the folder in which the server makes its socket.
    """
    limits = of_settings(inputs, (*LIMITS, QUOTA, *LOCKS))
    starts = systemd.command(inputs) if has_command(inputs) else systemd.environment(inputs)
    return starts | {
        "unit": unit(inputs.intent),
        "has_command": has_command(inputs),
        "socket_folder": socket_folder(inputs),
        "limits": known(inputs, limits),
        "notes": [*missing(inputs, limits), *assumed(inputs)],
    }


DROPIN = Units(
    name="dropin",
    settings=tuple(limit.id for limit in (*LIMITS, QUOTA, *LOCKS)),
    outputs=(
        Output(
            template="systemd/dropin.conf.j2",
            version=1,
            path="systemd/{unit}.d/advisor.conf",
            target="/etc/systemd/system/{unit}.d/10-advisor.conf",
            owner="root",
            group="root",
            mode=0o644,
            wanted=has_dropin,
            checker="systemd",
            activation="restart",
        ),
    ),
    context=context,
)
