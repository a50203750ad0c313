"""The app's service and the socket that it takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output
from advisor.render.place import any_below, app_paths, installed, is_unix, program, proxy_group

if TYPE_CHECKING:
    from advisor.render.values import Inputs

SETTINGS = (
    "systemd.timeout_stop_sec",
    "systemd.limit_nofile",
    "systemd.memory_high",
    "systemd.memory_max",
    "systemd.socket_backlog",
)


def wanted(inputs: Inputs) -> bool:
    """Where systemd is ours."""
    return "systemd" in inputs.manages


def context(inputs: Inputs) -> dict[str, Any]:
    """What is started, as whom, and what of the sandbox has to be relaxed for it."""
    intent = inputs.intent
    unix = is_unix(intent)
    group = proxy_group(intent)
    ours = "server" in inputs.manages
    return {
        "environment": list((intent.app_environment or {}).items()),
        "environment_file": intent.app_environment_file,
        "writable": intent.app_writable or [],
        "config": installed("gunicorn/gunicorn.conf.py", inputs) if ours else None,
        "gunicorn_program": program(inputs, "gunicorn"),
        "socket_group": group if unix else None,
        "socket_user": intent.user if unix and group is None else None,
        "in_home": any_below(app_paths(intent), "/home", "/root", "/run/user"),
        "in_tmp": any_below(app_paths(intent), "/tmp", "/var/tmp"),  # noqa: S108 - not used
    }


SYSTEMD = Component(
    name="systemd",
    settings=SETTINGS,
    outputs=tuple(
        Output(
            template=f"systemd/app.{kind}.j2",
            version=1,
            path=f"systemd/{{app}}.{kind}",
            target=f"/etc/systemd/system/{{app}}.{kind}",
            owner="root",
            group="root",
            mode=0o644,
            wanted=wanted,
            checker="systemd",
            activation="restart",
        )
        for kind in ("service", "socket")
    ),
    context=context,
)
