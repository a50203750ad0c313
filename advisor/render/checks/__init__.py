"""The real daemons' checks of rendered files, and ours of what those let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.checks import (
    caddy,
    environment,
    gunicorn,
    hypercorn,
    monitoring,
    nginx,
    redis,
    sysctl,
    systemd,
    variables,
)
from advisor.render.checks.result import CheckResult
from advisor.render.values import inputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Recommendation
    from advisor.render.rendering import File

__all__ = ["CheckResult", "check"]

CHECKERS = {
    "gunicorn": gunicorn.check,
    "uvicorn": variables.uvicorn,
    "hypercorn": hypercorn.check,
    "granian": variables.granian,
    "environment": environment.check,
    "nginx": nginx.check,
    "caddy": caddy.check,
    "systemd": systemd.check,
    "sysctl": sysctl.check,
    "redis": redis.check,
    "monitoring": monitoring.check,
}


def check(files: Sequence[File], rec: Recommendation) -> list[CheckResult]:
    """Check every file by the daemon that will read it, on staged copies in a temporary folder.

    Nothing of the host's is written, no app is imported, and no socket is left open.
    """
    inputs = inputs_of(rec)
    results: list[CheckResult] = []
    for name, checker in CHECKERS.items():
        theirs = [file for file in files if file.output and file.output.checker == name]
        if theirs:
            results.extend(checker(theirs, inputs))
    return results
