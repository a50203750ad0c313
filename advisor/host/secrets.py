"""Secrets in a command line, which every user of the host may read: found by name, never shown."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = frozenset({"--ssl-keyfile-password", "--keyfile-password"})
VARIABLES = frozenset({"-e", "--env"})
ASSIGNED = re.compile(r"(?P<name>\w*(?:PASS(?:WORD)?|SECRET|TOKEN|KEY)\w*)=.", re.IGNORECASE)


def secret_options(argv: Sequence[str]) -> list[str]:
    """What of a command line holds a secret: options by name, `--env` with its variable's.

    >>> secret_options(["gunicorn", "-e", "API_TOKEN=abc", "--keyfile-password=x", "app:app"])
    ['--env API_TOKEN', '--keyfile-password']
    """
    found = {word.partition("=")[0] for word in argv if word.partition("=")[0] in OPTIONS}
    for before, word in pairwise(argv):
        if before in VARIABLES and (match := ASSIGNED.match(word)):
            found.add(f"--env {match['name']}")
    for word in argv:
        option, _, rest = word.partition("=")
        if option == "--env" and (match := ASSIGNED.match(rest)):
            found.add(f"--env {match['name']}")
    return sorted(found)
