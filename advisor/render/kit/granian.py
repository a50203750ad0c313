"""granian.env: Granian's options as the environment variables that it reads them from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Line, Output, lines_of
from advisor.render.kit.launch import launch
from advisor.render.kit.since import ValueGate, gate, gates, known_values
from advisor.render.kit.trust import addresses, left_to_the_app
from advisor.render.place import is_unix, proxy_group

if TYPE_CHECKING:
    from advisor.render.values import Inputs

SETTINGS = (
    "granian.workers",
    "granian.blocking_threads",
    "granian.runtime_threads",
    "granian.runtime_mode",
    "granian.backlog",
    "granian.backpressure",
    "granian.loop",
    "granian.http",
    "granian.http1_header_read_timeout",
    "granian.respawn_failed_workers",
    "granian.respawn_interval",
    "granian.workers_kill_timeout",
    "granian.workers_max_rss",
    "granian.workers_lifetime",
)


def variable(name: str) -> str:
    """Click's name for an option's variable (granian/cli.py, entrypoint).

    >>> variable("workers"), variable("granian.runtime_mode")
    ('GRANIAN_WORKERS', 'GRANIAN_RUNTIME_MODE')
    """
    return f"GRANIAN_{name.removeprefix('granian.').upper()}"


GATES = gates(SETTINGS, variable)
VALUES = (
    # A value that it does not know would keep it from starting.
    ValueGate(
        *("granian.runtime_mode", "auto"),
        gate("granian.runtime_mode_auto", "GRANIAN_RUNTIME_MODE=auto"),
    ),
)
# granian 2.4.0: utils/proxies.py. On a unix socket its client has no address, so only * covers it.
WRAPPER = 'granian.utils.proxies.wrap_{interface}_with_proxy_headers(app, trusted_hosts="{hosts}").'


def wanted(inputs: Inputs) -> bool:
    """Where the app runs on Granian and the server is ours."""
    return "server" in inputs.manages and inputs.intent.runs_on == "granian"


def context(inputs: Inputs) -> dict[str, Any]:
    """The variables, how its socket is kept safe, and what the app has to do itself."""
    ids, notes = known_values(inputs, SETTINGS, VALUES)
    interface, hosts = inputs.intent.app_interface, addresses(inputs)
    wrapper = WRAPPER.format(interface=interface, hosts=hosts)
    return {
        "command": " ".join(launch(inputs).command),
        "variables": [
            Line(variable(line.name), line.value, line.why)
            for line in lines_of(inputs, "granian", ids)
        ],
        "notes": [_listens(inputs), *left_to_the_app(inputs, "Granian", wrapper), *notes],
    }


def _listens(inputs: Inputs) -> str:
    """What it costs that Granian takes over no socket."""
    cost = "Granian takes over no socket of systemd's: while it restarts, requests fail."
    if not is_unix(inputs.intent):
        return cost
    group = proxy_group(inputs.intent)
    who = f"its user and the group {group}" if group else "its user"
    if "granian" not in inputs.versions:
        cost = f"{cost} --uds-permissions needs Granian 2.6; the target's version is not known."
    if "systemd" not in inputs.manages:
        return f"{cost} It makes its own: see to it that only {who} may enter the folder."
    return f"{cost} It makes its own, in a folder that only {who} may enter."


GRANIAN = Component(
    name="granian",
    settings=SETTINGS,
    outputs=(
        Output(
            template="granian/granian.env.j2",
            version=1,
            path="granian/granian.env",
            target="/etc/advisor/current/{app}/granian/granian.env",
            owner="root",
            group="{user}",
            mode=0o640,
            wanted=wanted,
            checker="granian",
            activation="restart",
        ),
    ),
    context=context,
    gates=GATES,
)
