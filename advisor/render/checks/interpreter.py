"""Which Python the target's app server lives in, and as whom it may be run here."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.render.checks.result import find_program, other_version, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.render.values import Inputs

# A copied package has no metadata, and not every server says its version itself.
_VERSION = """\
import importlib.metadata, {package}
print(getattr({package}, "__version__", None) or importlib.metadata.version("{package}"))
"""


@dataclass(frozen=True)
class Installed:
    """A server of this host: its interpreter, and whether it is the target's own.

    `user` is the uid and gid to run it as, null where that is the user who asks.
    """

    python: str
    version: str
    is_target: bool
    user: tuple[int, int] | None = None


def find(inputs: Inputs, package: str) -> tuple[Installed | None, str]:
    """The first such server here of the target's minor version, or why there is none."""
    reasons = []
    for candidate in _candidates(inputs, package):
        other = other_version(inputs, package, candidate.version, parts=2)
        if other is None:
            return candidate, ""
        reasons.append(other)
    return None, "; ".join(dict.fromkeys(reasons)) or f"{package} is not installed here"


def _candidates(inputs: Inputs, package: str) -> Iterator[Installed]:
    """The app's virtual environment, then the advisor's own, then the PATH's."""
    virtualenv = inputs.intent.app_virtualenv
    if virtualenv is not None:
        program = Path(virtualenv) / "bin" / package
        if _is_file(program):
            python = _interpreter(program)
            yield from _asked(package, python, is_target=True, user=_owner(program))
    yield from _asked(package, sys.executable, is_target=False)
    on_path = find_program(package)
    if on_path is not None:
        python, user = _interpreter(Path(on_path)), _owner(Path(on_path))
        yield from _asked(package, python, is_target=False, user=user)


def _asked(
    package: str, python: str | None, *, is_target: bool, user: tuple[int, int] | None = None
) -> Iterator[Installed]:
    """The server of an interpreter, by its own word; none where it has none."""
    if python is None:
        return
    done = run([python, "-I", "-B", "-c", _VERSION.format(package=package)], user=user)
    if done.code == 0 and re.fullmatch(r"\d+(\.\w+)*", done.stdout.strip()):
        yield Installed(python, done.stdout.strip(), is_target, user)


def _interpreter(program: Path) -> str | None:
    """The Python in a script's first line."""
    try:
        with program.open("rb") as stream:
            first = stream.readline(4096).decode(errors="replace")
    except OSError:
        return None
    match = re.match(r"#!\s*(/\S*python[\w.]*)\s*$", first)
    return match[1] if match else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _owner(program: Path) -> tuple[int, int] | None:
    """Whom a program is run as, for root: another user's program only as that user.

    The first owner other than root, from the file up to /, is who could have changed it.
    """
    if os.geteuid() != 0:
        return None
    for path in (program, *program.parents):
        status = path.stat()
        if status.st_uid != 0:
            return status.st_uid, status.st_gid
    return None
