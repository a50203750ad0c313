"""The daemons that the matrix runs: this machine's, and those that scripts/daemons.sh has made."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Component
from advisor.host import components as host
from advisor.render.checks.result import find_program, run
from advisor.rules import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn

RECIPE = Path(__file__).parents[2] / "scripts" / "daemons.sh"
# What a daemon is asked, and how its answer reads. systemd-analyze tells the version of systemd
# where no systemd runs.
QUESTIONS = (
    ("nginx", ("nginx", "-V"), host.parse_nginx),
    ("openssl", ("nginx", "-V"), host.parse_nginx_openssl),
    ("systemd", ("systemd-analyze", "--version"), host.parse_systemd),
    ("caddy", ("caddy", "version"), host.parse_caddy),
    ("redis", ("redis-server", "--version"), host.parse_redis),
)
SERVERS = ("uvicorn", "uvicorn-worker", "hypercorn", "granian")


@dataclass(frozen=True)
class Target:
    """A host that is rendered for, and the daemons that judge what is rendered for it.

    `programs` is the folder of the daemons that come before this machine's own; `gunicorn` the
    environment of its Gunicorn. `versions` are those that the daemons have to have: the matrix
    speaks for nothing else. `only` names the one checker whose daemon no other target has. Of a
    target that is `reported`, what fails fails no test.
    """

    name: str
    programs: str | None
    gunicorn: str
    versions: Mapping[str, tuple[int, ...]]
    only: str | None = None
    reported: bool = False


BOOKWORM = {"nginx": (1, 22), "openssl": (3, 0), "systemd": (252,), "caddy": (2, 6), "redis": (7,)}
TRIXIE = {"nginx": (1, 26), "openssl": (3, 5), "systemd": (257,), "caddy": (2, 11), "redis": (8,)}
TARGETS = (
    Target("debian-12", None, "gunicorn-20.1", BOOKWORM | {"gunicorn": (20, 1)}),
    Target("gunicorn-23", None, "gunicorn-23", BOOKWORM | {"gunicorn": (23,)}, only="gunicorn"),
    Target("debian-13", "trixie", "gunicorn-27", TRIXIE | {"gunicorn": (27,)}),
)
SID = Target("sid", "sid", "gunicorn-27", {"nginx": (1, 28)}, only="nginx", reported=True)


def place() -> Path:
    """The folder that scripts/daemons.sh prints."""
    cache = Path(os.environ.get("ADVISOR_CACHE") or Path.home() / ".cache" / "advisor")
    return cache / "daemons" / hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]


def made(piece: str, not_run: Callable[[str], NoReturn]) -> Path:
    """A piece that scripts/daemons.sh has made, whole."""
    if not (place() / f"{piece}.made").exists():
        not_run(f"{piece} is not made: sh scripts/daemons.sh")
    return place() / piece


@contextlib.contextmanager
def using(target: Target, not_run: Callable[[str], NoReturn]) -> Iterator[None]:
    """The target's daemons are those that the checks find.

    Its programs share this machine's /tmp and no other folder, so that stages have to lie there.
    """
    before = os.environ["PATH"], tempfile.tempdir
    if target.programs:
        made(target.programs, not_run)
        os.environ["PATH"] = f"{place() / 'bin' / target.programs}:{before[0]}"
    tempfile.tempdir = "/tmp"
    try:
        yield
    finally:
        os.environ["PATH"], tempfile.tempdir = before


def components(target: Target, not_run: Callable[[str], NoReturn]) -> dict[str, Component]:
    """What the facts of the target say it runs: by its daemons' own words, inside `using`."""
    found: dict[str, Component] = {}
    for name, (program, *words), parse in QUESTIONS:
        path = find_program(program)
        if path is None:
            not_run(f"{program} is not installed")
        answer = run([path, *words])
        component = parse(answer.stdout + answer.stderr)
        assert component is not None, f"{path} {words}: {answer}"
        found[name] = component
    python = made(target.gunicorn, not_run) / "bin" / "python"
    said = run([python, "-c", "import gunicorn; print(gunicorn.__version__)"])
    found["gunicorn"] = Component(version=said.stdout.strip())
    found["python"] = Component(version=platform.python_version())
    for name in SERVERS:
        found[name] = Component(version=importlib.metadata.version(name))
    for name, version in target.versions.items():
        here = versions.parse(found[name].version) or ()
        newer = target.reported and here >= version
        if here[: len(version)] != version and not newer:
            not_run(f"{name} here is {found[name].version}, and {target.name} has {version}")
    return found
