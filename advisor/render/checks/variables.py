"""uvicorn.env and granian.env, as the server's own command reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.render.checks.asked import ask
from advisor.render.checks.envfile import assignments
from advisor.render.checks.result import CheckResult, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

GRAMMAR = "environment file"


def uvicorn(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """The check of uvicorn/uvicorn.env."""
    (file,) = files
    return _check(file, inputs, "uvicorn")


def granian(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """The check of granian/granian.env."""
    (file,) = files
    return _check(file, inputs, "granian")


def _check(file: File, inputs: Inputs, package: str) -> list[CheckResult]:
    """The grammar by us; names, types and what the command makes of them by the server."""
    found, problems = assignments(file.content.decode(errors="replace"))
    grammar = verdict(file.path, GRAMMAR, [f"{file.path}:{at}: {text}" for at, text in problems])
    by_the_server = ask(
        file,
        inputs,
        package,
        script="click_settings.py",
        lines={name: line for name, (line, _) in found.items()},
        variables={name: value for name, (_, value) in found.items()},
    )
    return [grammar, *by_the_server]
