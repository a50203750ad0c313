"""The kernel's limits, for the whole host: raised at boot, only where `manage` names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Line, Output

if TYPE_CHECKING:
    from advisor.render.values import Inputs

# The kernel's names: Documentation/admin-guide/sysctl/net.rst and fs.rst, and ip-sysctl.rst.
KEYS = {
    "sysctl.somaxconn": "net.core.somaxconn",
    "sysctl.tcp_max_syn_backlog": "net.ipv4.tcp_max_syn_backlog",
    "sysctl.ip_local_port_range": "net.ipv4.ip_local_port_range",
    "sysctl.tcp_fin_timeout": "net.ipv4.tcp_fin_timeout",
    "sysctl.file_max": "fs.file-max",
}


def wanted(inputs: Inputs) -> bool:
    """Where `manage` names sysctl: the values hold for all that runs on the host."""
    return "sysctl" in inputs.manages


def context(inputs: Inputs) -> dict[str, Any]:
    """The keys whose present value is too low, each with what it is and why that is too low."""
    return {
        "sysctls": [
            Line(key, inputs.values[id_], inputs.why[id_])
            for id_, key in KEYS.items()
            if inputs.values[id_] is not None
        ]
    }


SYSCTL = Component(
    name="sysctl",
    settings=tuple(KEYS),
    outputs=(
        Output(
            template="sysctl/app.conf.j2",
            version=1,
            path="sysctl/90-{app}.conf",
            # After the distribution's own (sysctl.d(5): 50 and below); the last value counts.
            target="/etc/sysctl.d/90-{app}.conf",
            owner="root",
            group="root",
            mode=0o644,
            wanted=wanted,
            checker="sysctl",
            activation="reload",
        ),
    ),
    context=context,
)
