"""hypercorn.toml: what `hypercorn -c` reads. It sets no bind: the command does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Output, lines_of
from advisor.render.kit.launch import launch
from advisor.render.kit.since import gate, gates
from advisor.render.kit.trust import left_to_the_app

if TYPE_CHECKING:
    from advisor.render.values import Inputs

SETTINGS = (
    "hypercorn.workers",
    "hypercorn.keep_alive_timeout",
    "hypercorn.graceful_timeout",
    "hypercorn.backlog",
    "hypercorn.worker_class",
    "hypercorn.max_requests",
    "hypercorn.max_requests_jitter",
    "hypercorn.websocket_ping_interval",
)
# Hypercorn takes any key and does nothing with one it does not know (config.py, from_mapping).
GATES = {
    **gates(SETTINGS, lambda id_: id_.removeprefix("hypercorn.")),
    # It came with max_requests (hypercorn 0.16.0, commit 7c39c68).
    "hypercorn.max_requests_jitter": gate("hypercorn.max_requests", "max_requests_jitter"),
}
# hypercorn 0.16.0: changelog, ProxyFix middleware.
WRAPPER = 'hypercorn.middleware.ProxyFixMiddleware(app, mode="legacy", trusted_hops=1).'


def wanted(inputs: Inputs) -> bool:
    """Where the app runs on Hypercorn and the server is ours."""
    return "server" in inputs.manages and inputs.intent.runs_on == "hypercorn"


def context(inputs: Inputs) -> dict[str, Any]:
    """The keys, and what the app has to do itself."""
    return {
        "command": " ".join(launch(inputs).command),
        "hypercorn": lines_of(inputs, "hypercorn", SETTINGS),
        "notes": left_to_the_app(inputs, "Hypercorn", WRAPPER),
    }


HYPERCORN = Component(
    name="hypercorn",
    settings=SETTINGS,
    outputs=(
        Output(
            template="hypercorn/hypercorn.toml.j2",
            version=1,
            path="hypercorn/hypercorn.toml",
            target="/etc/advisor/current/{app}/hypercorn/hypercorn.toml",
            owner="root",
            group="{user}",
            mode=0o640,
            wanted=wanted,
            checker="hypercorn",
            activation="restart",
        ),
    ),
    context=context,
    gates=GATES,
)
