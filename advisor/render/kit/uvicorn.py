"""uvicorn.env: Uvicorn's options as the environment variables that it reads them from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Line, Output, lines_of
from advisor.render.kit.launch import launch
from advisor.render.kit.since import ValueGate, gate, gates, known_values
from advisor.render.kit.trust import trust

if TYPE_CHECKING:
    from advisor.render.values import Inputs

SETTINGS = (
    "uvicorn.workers",
    "uvicorn.timeout_keep_alive",
    "uvicorn.timeout_graceful_shutdown",
    "uvicorn.timeout_worker_healthcheck",
    "uvicorn.limit_concurrency",
    "uvicorn.backlog",
    "uvicorn.loop",
    "uvicorn.http",
    "uvicorn.ws",
    "uvicorn.limit_max_requests",
    "uvicorn.limit_max_requests_jitter",
)


def variable(name: str) -> str:
    """Click's name for an option's variable (uvicorn 0.16.0: release notes, #1279).

    >>> variable("timeout_keep_alive"), variable("uvicorn.workers")
    ('UVICORN_TIMEOUT_KEEP_ALIVE', 'UVICORN_WORKERS')
    """
    return f"UVICORN_{name.removeprefix('uvicorn.').upper()}"


GATES = gates(SETTINGS, variable)
VALUES = (
    ValueGate(
        *("uvicorn.ws", "websockets-sansio"),
        gate("uvicorn.websockets_sansio", "UVICORN_WS=websockets-sansio"),
    ),
)


def wanted(inputs: Inputs) -> bool:
    """Where the app runs on Uvicorn by itself and the server is ours."""
    return "server" in inputs.manages and inputs.intent.runs_on == "uvicorn"


def context(inputs: Inputs) -> dict[str, Any]:
    """The variables, whose X-Forwarded-* is believed among them, and what is left out."""
    ids, notes = known_values(inputs, SETTINGS, VALUES)
    lines = [
        Line(variable(line.name), line.value, line.why) for line in lines_of(inputs, "uvicorn", ids)
    ]
    believed = trust(inputs, is_uvicorn=True)
    if believed is not None and believed.allowed is not None:
        lines.append(Line(variable("forwarded_allow_ips"), believed.allowed, believed.why))
    elif believed is not None:
        notes.append(believed.why)
    return {"command": " ".join(launch(inputs).command), "variables": lines, "notes": notes}


UVICORN = Component(
    name="uvicorn",
    settings=SETTINGS,
    outputs=(
        Output(
            template="uvicorn/uvicorn.env.j2",
            version=1,
            path="uvicorn/uvicorn.env",
            target="/etc/advisor/current/{app}/uvicorn/uvicorn.env",
            owner="root",
            group="{user}",
            mode=0o640,
            wanted=wanted,
            checker="uvicorn",
            activation="restart",
        ),
    ),
    context=context,
    gates=GATES,
)
