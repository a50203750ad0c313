"""The service's own trial of its configuration: as its user, with its environment, in its folder.

What the environment holds is nobody's to see: it goes to the process, and is struck out of all
that is said.
"""

from __future__ import annotations

import pwd
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import find, run
from .documents import Refusal
from .systemd import assignments, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TRIAL_S = 60.0
# Where systemd looks for units, the first that has a file counts (systemd.unit(5)).
FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")
# A value as short as this is a word like any other.
SHORTEST_SECRET = 5
LINES = 20

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^\s:/@]*):[^\s@]+(?=@)")
# What is called a secret is one, wherever the process has it from.
_CALLED = re.compile(
    r"(?P<name>(?:password|passwd|passphrase|secret|token|api[_-]?key|authorization)\w*['\"]?\s*[=:]\s*)"
    r"(?P<value>(?:bearer |basic )?['\"]?[^\s'\"]+['\"]?)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Surroundings:
    """What a unit gives its process; `missing` are files that it needs and that are not there."""

    environment: dict[str, str] = field(default_factory=dict, repr=False)
    directory: str | None = None
    missing: tuple[str, ...] = ()


def unit_texts(unit: str, root: Path = Path("/")) -> list[str]:
    """A unit's own file and then its drop-ins, in the order in which systemd reads them."""
    folders = [root / folder for folder in FOLDERS]
    own = next((folder / unit for folder in folders if (folder / unit).is_file()), None)
    # Of drop-ins with one name that of the first folder counts; else they are read by name.
    dropins = {
        path.name: path
        for folder in reversed(folders)
        for path in (folder / f"{unit}.d").glob("*.conf")
    }
    paths = [*([own] if own else []), *(dropins[name] for name in sorted(dropins))]
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths]


def surroundings(texts: Iterable[str], root: Path = Path("/")) -> Surroundings:
    """The environment and the folder that units with these texts give.

    Files win over assignments (systemd.exec(5), EnvironmentFile=), later ones over earlier.
    """
    words: list[str] = []
    files: list[str] = []
    directory: str | None = None
    for name, value in (pair for text in texts for pair in assignments(text, "Service")):
        if name == "Environment":
            words = [*words, *split(value)] if value else []
        elif name == "EnvironmentFile":
            files = [*files, value] if value else []
        elif name == "WorkingDirectory":
            directory = value.lstrip("-") or None
    given = dict(word.split("=", 1) for word in words if "=" in word)
    missing = []
    for file in files:
        try:
            path = root / file.lstrip("-").lstrip("/")
            given.update(variables(path.read_text(encoding="utf-8", errors="replace")))
        except OSError as error:
            if not file.startswith("-"):
                missing.append(f"{file}: {error.strerror}")
    return Surroundings(given, directory, tuple(missing))


def variables(text: str) -> dict[str, str]:
    r"""The variables of an environment file (systemd.exec(5), EnvironmentFile=).

    >>> variables("# why\nA=1\nB='x y'\nC=\"say \\\"no\\\"\"\n; D=4\n")
    {'A': '1', 'B': 'x y', 'C': 'say "no"'}
    """
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and _NAME.fullmatch(name.strip()):
            found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1]
    inner = value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
    return re.sub(r"\\(.)", r"\1", inner)


def redacted(lines: Iterable[str], environment: dict[str, str]) -> tuple[str, ...]:
    """The lines with each variable's name for its value, and nothing that is called a secret.

    >>> redacted(["no db at pg://a:b@c, key k-value"], {"KEY": "k-value"})
    ('no db at pg://a:***@c, key $KEY',)
    >>> redacted(["{'db_password': 'x'}, Authorization: Bearer x1"], {})
    ("{'db_password': ***}, Authorization: ***",)
    """
    ordered = sorted(environment.items(), key=lambda item: -len(item[1]))
    secrets = [(name, value) for name, value in ordered if len(value) >= SHORTEST_SECRET]
    told = []
    for line in lines:
        text = line
        for name, value in secrets:
            text = text.replace(value, f"${name}")
        told.append(_CALLED.sub(r"\g<name>***", _PASSWORD.sub(r"\g<user>:***", text)))
    return tuple(told)


def problems(unit: str, argv: Sequence[str], user: str, root: Path = Path("/")) -> Refusal | None:
    """Why the service would not come up with what is in its place now."""
    around = surroundings(unit_texts(unit, root), root)
    if around.missing:
        return Refusal(
            step="check",
            message=f"{unit} needs a file that is not there",
            lines=around.missing,
            look="Make the file (root's, 0600: systemd reads it), or take it out of advisor.yml.",
        )
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return Refusal(
            step="check",
            message=f"the user {user} that runs {unit} is not there",
            look=f"Make it first, as the roles do: `useradd --system {user}`.",
        )
    program = argv[0] if "/" in argv[0] else find(argv[0])
    if program is None or not Path(program).is_file():
        return Refusal(
            step="check",
            message=f"{argv[0]} is not there, and {unit} starts with it",
            look="Install the server into the app's virtual environment; apply again.",
        )
    own = {"HOME": account.pw_dir, "USER": user, "LOGNAME": user, "LC_ALL": "C.UTF-8"}
    done = run(
        [program, *argv[1:]],
        timeout_s=TRIAL_S,
        user=user,
        environment={**own, **around.environment},
        directory=around.directory,
    )
    if done.is_good:
        return None
    return Refusal(
        step="check",
        message=f"{unit} would not start: its trial, as {user}, failed",
        lines=redacted(done.said[-LINES:], around.environment),
        look=f"Run it by hand as {user}: {' '.join(argv)}",
    )
