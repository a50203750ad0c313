"""Our own check of environment/app.env, which no daemon checks: its grammar, names and values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.render.checks.envfile import assignments
from advisor.render.checks.result import CheckResult, verdict
from advisor.render.kit.environment import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

CHECK = "variables of the app's environment"
_VALUE = re.compile(r"-?\d+(?:\.\d+)?|true|false")


def check(files: Sequence[File], _: Inputs) -> list[CheckResult]:
    """Only variables of ours, each a number or true and false: so no secret can be among them."""
    (file,) = files
    found, problems = assignments(file.content.decode(errors="replace"))
    for name, (line, value) in found.items():
        if name not in NAMES:
            problems.append(
                (line, f"{name} is none of ours: what is the app's own goes in app.environment")
            )
        elif not _VALUE.fullmatch(value):
            problems.append((line, f"{name} should be a number, or true or false"))
    lines = [f"{file.path}:{line}: {text}" for line, text in sorted(problems)]
    return [verdict(file.path, CHECK, lines)]
