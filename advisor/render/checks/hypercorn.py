"""hypercorn.toml, as Hypercorn's own command reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from advisor.render.checks.asked import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.render.checks.result import CheckResult
    from advisor.render.rendering import File
    from advisor.render.values import Inputs

_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=")


def check(files: Sequence[File], inputs: Inputs) -> list[CheckResult]:
    """Keys and types against the target's Hypercorn, and the command that reads them."""
    (file,) = files
    text = file.content.decode(errors="replace").split("\n")
    keys = ((number, _KEY.match(line)) for number, line in enumerate(text, 1))
    lines = {key[1]: number for number, key in keys if key}
    return ask(file, inputs, "hypercorn", script="hypercorn_settings.py", lines=lines)
