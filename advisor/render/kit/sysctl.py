"""The kernel's limits, for the whole host: raised at boot, only where `manage` names them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Line, Output
from advisor.render.kit import caddy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.render.values import Inputs

# The kernel's names: Documentation/admin-guide/sysctl/net.rst and fs.rst, and ip-sysctl.rst.
KEYS = {
    "sysctl.somaxconn": "net.core.somaxconn",
    "sysctl.tcp_max_syn_backlog": "net.ipv4.tcp_max_syn_backlog",
    "sysctl.ip_local_port_range": "net.ipv4.ip_local_port_range",
    "sysctl.tcp_fin_timeout": "net.ipv4.tcp_fin_timeout",
    "sysctl.tcp_migrate_req": "net.ipv4.tcp_migrate_req",
    "sysctl.file_max": "fs.file-max",
}
# What a load balancer's host needs, of which nothing else is known.
BALANCERS = {id_: KEYS[id_] for id_ in ("sysctl.tcp_migrate_req",)}


def wanted(inputs: Inputs) -> bool:
    """Where `manage` names sysctl: the values hold for all that runs on the host."""
    return "sysctl" in inputs.manages


def context(inputs: Inputs, keys: Mapping[str, str] = KEYS) -> dict[str, Any]:
    """The keys whose present value is too low, each with what it is and why that is too low."""
    return {
        "sysctls": [
            Line(key, inputs.values[id_], inputs.why[id_])
            for id_, key in keys.items()
            if inputs.values[id_] is not None
        ]
    }


def _balancer_wanted(inputs: Inputs) -> bool:
    """Where the load balancer's daemon needs one, on a host of its own."""
    is_needed = any(inputs.values[id_] is not None for id_ in BALANCERS)
    return wanted(inputs) and caddy.balancer_wanted(inputs) and is_needed


def _output(path: str, target: str, asks: Callable[[Inputs], bool]) -> Output:
    return Output(
        template="sysctl/app.conf.j2",
        version=1,
        path=path,
        # After the distribution's own (sysctl.d(5): 50 and below); the last value counts.
        target=f"/etc/sysctl.d/{target}",
        owner="root",
        group="root",
        mode=0o644,
        wanted=asks,
        checker="sysctl",
        activation="reload",
    )


SYSCTL = Component(
    name="sysctl",
    settings=tuple(KEYS),
    outputs=(_output("sysctl/90-{app}.conf", "90-{app}.conf", wanted),),
    context=context,
)
SYSCTL_BALANCER = Component(
    name=caddy.BALANCER,
    settings=tuple(BALANCERS),
    outputs=(
        _output(
            f"{caddy.BALANCER}/90-{{app}}-balancer.conf",
            "90-{app}-balancer.conf",
            _balancer_wanted,
        ),
    ),
    context=partial(context, keys=BALANCERS),
)
