"""environment/app.env: what the app's own code has to read. Never a secret.

Pools, tokens and limits are made in the app's code; a file can only hand it the numbers. Each
variable is the setting's id in capitals, and is there where the setting has a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.render.component import Component, Line, Output

if TYPE_CHECKING:
    from advisor.render.values import Inputs

APP_ENVIRONMENT = "environment/app.env"
SETTINGS = (
    "anyio.tokens",
    "sqlalchemy.pool_size",
    "sqlalchemy.max_overflow",
    "sqlalchemy.pool_timeout",
    "sqlalchemy.pool_recycle",
    "sqlalchemy.pool_pre_ping",
    "asyncpg.min_size",
    "asyncpg.max_size",
    "asyncpg.max_inactive_connection_lifetime",
    "httpx.max_connections",
    "httpx.max_keepalive_connections",
    "httpx.keepalive_expiry",
    "httpx.timeout",
)
WORKERS = "WEB_CONCURRENCY"


def variable(id_: str) -> str:
    """The name of the variable that hands a setting to the app.

    >>> variable("sqlalchemy.pool_size")
    'SQLALCHEMY_POOL_SIZE'
    """
    return id_.replace(".", "_").upper()


# Every name that the file can hold.
NAMES = (WORKERS, *map(variable, SETTINGS))


def variables(inputs: Inputs) -> list[Line]:
    """The assignments, those of `app.environment` left to it: a file would override them."""
    workers = inputs.values[f"{inputs.intent.runs_on}.workers"]
    counted = Line(WORKERS, workers, "The server's workers, for an app that shares by them.")
    handed = [
        Line(variable(id_), inputs.values[id_], inputs.why[id_])
        for id_ in SETTINGS
        if inputs.values[id_] is not None
    ]
    stated = inputs.intent.app_environment or {}
    lines = [counted, *handed] if workers is not None else handed
    return [line for line in lines if line.name not in stated]


def wanted(inputs: Inputs) -> bool:
    """Where the server is ours and there is something to hand over."""
    return "server" in inputs.manages and bool(variables(inputs))


def context(inputs: Inputs) -> dict[str, Any]:
    """The assignments."""
    return {"variables": variables(inputs), "secrets": inputs.intent.app_environment_file}


ENVIRONMENT = Component(
    name="environment",
    settings=SETTINGS,
    outputs=(
        Output(
            template="environment/app.env.j2",
            version=1,
            path=APP_ENVIRONMENT,
            target="/etc/advisor/current/{app}/environment/app.env",
            owner="root",
            group="{user}",
            mode=0o640,
            wanted=wanted,
            checker="environment",
            activation="restart",
        ),
    ),
    context=context,
)
