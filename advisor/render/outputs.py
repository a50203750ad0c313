"""The one table of what is rendered: from which template, to where, and what then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Manager = Literal["server", "proxy", "systemd"]
Checker = Literal["gunicorn", "nginx", "systemd"]
Activation = Literal["reload", "restart", "none"]


@dataclass(frozen=True)
class Output:
    """One rendered file.

    `path` is its place in the tree, `target` where the target's daemon looks for it; in
    both, and in `group`, `{app}` and `{user}` stand for the app's name and user. `version`
    grows when the template's output changes. `managed_as` is the word of `manage` that makes
    the file ours. `activation` is what makes a change of it effective: a `reload` of the
    daemon, or a `restart` of the service behind its socket, where a reload cannot change it.
    """

    template: str
    version: int
    path: str
    target: str
    owner: str
    group: str
    mode: int
    managed_as: Manager
    checker: Checker
    activation: Activation


OUTPUTS = (
    Output(
        template="gunicorn/gunicorn.conf.py.j2",
        version=1,
        path="gunicorn/gunicorn.conf.py",
        target="/etc/advisor/current/{app}/gunicorn/gunicorn.conf.py",
        owner="root",
        group="{user}",
        mode=0o640,
        managed_as="server",
        checker="gunicorn",
        activation="reload",
    ),
    Output(
        template="nginx/app.conf.j2",
        version=1,
        path="nginx/{app}.conf",
        target="/etc/nginx/conf.d/{app}.conf",
        owner="root",
        group="root",
        mode=0o644,
        managed_as="proxy",
        checker="nginx",
        activation="reload",
    ),
    Output(
        template="systemd/app.service.j2",
        version=1,
        path="systemd/{app}.service",
        target="/etc/systemd/system/{app}.service",
        owner="root",
        group="root",
        mode=0o644,
        managed_as="systemd",
        checker="systemd",
        activation="restart",
    ),
    Output(
        template="systemd/app.socket.j2",
        version=1,
        path="systemd/{app}.socket",
        target="/etc/systemd/system/{app}.socket",
        owner="root",
        group="root",
        mode=0o644,
        managed_as="systemd",
        checker="systemd",
        activation="restart",
    ),
)

GUNICORN_CONF = OUTPUTS[0]
