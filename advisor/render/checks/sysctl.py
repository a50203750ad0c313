"""Our own check of sysctl.d: systemd-sysctl has none, and passes over a key it does not find.

That one logs a key that is not there at debug level, and fails at none (sysctl.d(5)).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks.result import CheckResult, verdict
from advisor.render.kit.sysctl import KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.rendering import File
    from advisor.render.values import Inputs

CHECK = "sysctl keys and values"
PROC = Path("/proc/sys")
PORTS = KEYS["sysctl.ip_local_port_range"]

_ASSIGNMENT = re.compile(r"(?P<key>[a-z0-9_.-]+) = (?P<value>.*)")
_NUMBERS = re.compile(r"[0-9]+(?: [0-9]+)*")


def check(files: Sequence[File], _: Inputs, proc: Path = PROC) -> list[CheckResult]:
    """Keys of the kit, each once, with its one number or two; and whether this kernel has them."""
    results: list[CheckResult] = []
    for file in files:
        lines = list(enumerate(file.content.decode().split("\n"), 1))
        said = [(number, line) for number, line in lines if line and not line.startswith("#")]
        wrong = [
            f"{file.path}:{number}: {problem}"
            for number, line in said
            if (problem := _problem(line, [other for before, other in said if before < number]))
        ]
        results.append(verdict(file.path, CHECK, wrong))
        keys = [line.partition(" = ")[0] for _, line in said]
        absent = [key for key in keys if not (proc / key.replace(".", "/")).exists()]
        if absent and not wrong:
            why = f"{', '.join(absent)}: not under {proc} here"
            results.append(CheckResult(file.path, f"{CHECK} of this kernel", "not_run", (why,)))
    return results


def _problem(line: str, before: Sequence[str]) -> str | None:
    """What is wrong with an assignment below others, or null."""
    match = _ASSIGNMENT.fullmatch(line)
    if match is None:
        return f"{line}: only KEY = VALUE"
    key, value = match.groups()
    if key not in KEYS.values():
        return f"{key} is no key of ours"
    if any(other.startswith(f"{key} = ") for other in before):
        return f"{key} is there twice"
    numbers = [int(each) for each in value.split(" ")] if _NUMBERS.fullmatch(value) else []
    if len(numbers) != (2 if key == PORTS else 1):
        return f"{key}: {value!r} should be {'two numbers' if key == PORTS else 'a number'}"
    if numbers != sorted(set(numbers)):
        return f"{key}: {value}: the first port should be below the last"
    return None
