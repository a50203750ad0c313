"""The Python environment of a server, read from its files: nothing in it is ever run."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.documents import Component
from advisor.host.tree import content, under

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

# The distributions whose versions decide what a rendered setting or a line of code may say.
SERVERS = (
    *("gunicorn", "uvicorn", "uvicorn-worker", "hypercorn", "granian"),
    *("uvloop", "httptools", "gevent"),
)
LIBRARIES = (
    *("django", "flask", "fastapi", "starlette", "anyio", "websockets", "wsproto"),
    *("sqlalchemy", "asyncpg", "psycopg", "psycopg2", "psycopg2-binary"),
    *("aiohttp", "httpx", "redis", "celery", "rq"),
)
PACKAGES = SERVERS + LIBRARIES
# Those of which an app may have one installed and use another. Their compiled modules, which they
# load with their first import, tell.
ALTERNATIVES = ("sqlalchemy", "asyncpg")
# What is known by another name: `redis` is the server, which has versions of its own.
NAMES = {"redis": "redis-py", "psycopg2-binary": "psycopg2"}
# Other servers: where one of them is installed, what a process has loaded may be theirs.
RIVALS = ("sanic", "blacksheep", "daphne", "waitress", "cheroot", "robyn", "socketify")
LIBRARY = re.compile(r"(?:python|pypy)(?P<version>\d+\.\d+)(?P<free>t?)")
EXACT = re.compile(r"[0-9]+\.[0-9]+(?:\.[0-9]+)?")
DISTRIBUTION = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+?)-(?P<version>[0-9][A-Za-z0-9.+!_]*)(?:-py[0-9.]+)?"
    r"\.(?:dist|egg)-info"
)
SITE_PACKAGES = re.compile(r" (?P<prefix>/\S+)/lib(?:64)?/python\d\.\d+t?/site-packages/")


@dataclass(frozen=True)
class Installation:
    """A server's interpreter: version as exact as its files say, packages found by name.

    `free_threaded` is whether it was built without the interpreter lock (python3.13t), `loaded`
    which packages are in its processes' memory, and which are not, where that is known.
    """

    virtualenv: str | None
    python: str | None
    packages: dict[str, str]
    rivals: frozenset[str] = frozenset()
    free_threaded: bool = False
    loaded: Mapping[str, bool] = field(default_factory=dict)


def components_of(found: Installation) -> dict[str, Component]:
    """What an environment holds, as components by name; a free-threaded Python says so."""
    modules = ["free-threaded"] if found.free_threaded else []
    python = {"python": Component(version=found.python, modules=modules)} if found.python else {}
    return python | {
        name: Component(version=version, loaded=found.loaded.get(name))
        for name, version in found.packages.items()
    }


def own() -> Installation:
    """The advisor's own environment; its libraries say nothing of an app, and are left out."""
    virtualenv = sys.prefix if sys.prefix != sys.base_prefix else None
    version = ".".join(map(str, sys.version_info[:3]))
    packages = _packages(SERVERS, map(Path, sys.path))
    return Installation(virtualenv, version, packages, free_threaded="t" in sys.abiflags)


def installation(
    programs: Iterable[str],
    *,
    executable: str | None,
    mapped: str,
    home: Path,
    root: Path,
    serving: str = "",
) -> Installation:
    """The environment of a process.

    Args:
        programs: absolute paths from its command line: the interpreter and the script.
        executable: what /proc/PID/exe points to, the interpreter behind the virtual
            environment's link.
        mapped: its /proc/PID/maps, which shows the environment's compiled modules when the
            command line does not; empty where it may not be read.
        home: the home folder of its user, for packages installed with `pip install --user`.
        root: its file system as seen from here.
        serving: the maps of the process that serves, which has loaded the app.
    """
    virtualenv = next(_virtualenvs([*programs], mapped, root), None)
    prefix = virtualenv or (_prefix(executable) if executable else None)
    config = _pyvenv(under(root, virtualenv)) if virtualenv else {}
    libraries = list(_libraries(under(root, prefix))) if prefix else []
    # Under one prefix there may be several builds, in a virtual environment one alone.
    names = [os.path.basename(executable or ""), *(each.name for each in libraries[:1])]  # noqa: PTH119 - as below
    builds = [build for build in map(LIBRARY.fullmatch, names) if build]
    build = builds[-1 if virtualenv else 0] if builds else None
    exact = EXACT.match(config.get("version") or config.get("version_info") or "")
    version = build["version"] if build else None
    python = exact[0] if exact else version
    free = bool(build and build["free"])
    sites = [
        library / "site-packages" for library in libraries if build and library.name == build[0]
    ]
    if not virtualenv or config.get("include-system-site-packages") == "true":
        sites += _system_sites(executable, python, home, root, free_threaded=free)
    rivals = frozenset(_packages(RIVALS, sites))
    loaded = _loaded(sites, serving) if serving else {}
    return Installation(virtualenv, python, _packages(PACKAGES, sites), rivals, free, loaded)


def _virtualenvs(programs: list[str], mapped: str, root: Path) -> Iterator[str]:
    prefixes = [os.path.dirname(os.path.dirname(program)) for program in programs]  # noqa: PTH120 - a text of another file system
    prefixes += dict.fromkeys(match["prefix"] for match in SITE_PACKAGES.finditer(mapped))
    return (prefix for prefix in prefixes if (under(root, prefix) / "pyvenv.cfg").is_file())


def _pyvenv(prefix: Path) -> dict[str, str]:
    try:
        text = content(prefix / "pyvenv.cfg", most=4096).decode(errors="replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _prefix(executable: str) -> str:
    return os.path.dirname(os.path.dirname(executable)) or "/"  # noqa: PTH120 - as above


def _libraries(prefix: Path) -> Iterator[Path]:
    """`lib/python3.11` and its like, the newest first."""
    found = [path for lib in ("lib", "lib64") for path in (prefix / lib).glob("python3.*")]
    named = [path for path in found if LIBRARY.fullmatch(path.name)]
    return iter(
        sorted(named, key=lambda path: int(path.name.rpartition(".")[2].rstrip("t")), reverse=True)
    )


def _system_sites(
    executable: str | None, python: str | None, home: Path, root: Path, *, free_threaded: bool
) -> Iterator[Path]:
    """Where an interpreter looks outside of any virtual environment, Debian's places too."""
    minor = ".".join((python or "").split(".")[:2]) + "t" * free_threaded
    yield under(root, str(home)) / f".local/lib/python{minor}/site-packages"
    for prefix in dict.fromkeys(filter(None, ("/usr/local", _prefix(executable or ""), "/usr"))):
        for name in ("site-packages", "dist-packages"):
            yield under(root, prefix) / f"lib/python{minor}" / name
    yield under(root, "/usr/lib/python3/dist-packages")


def _packages(wanted: Collection[str], sites: Iterable[Path]) -> dict[str, str]:
    """Versions by the folders that pip or Debian left; the first place that has one counts.

    The folder's name carries the version (PyPA's "Recording installed projects"), so no file
    of somebody else's environment has to be opened. Names are those of `NAMES`.
    """
    found: dict[str, str] = {}
    for site in sites:
        for name in _names(site):
            match = DISTRIBUTION.fullmatch(name)
            package = match["name"].lower().replace("_", "-") if match else ""
            if match and package in wanted:
                found.setdefault(NAMES.get(package, package), match["version"])
    return found


def _loaded(sites: Iterable[Path], mapped: str) -> dict[str, bool]:
    """Which of the alternatives with compiled modules on the disk have one in memory."""
    folders = {name: [site / name for site in sites] for name in ALTERNATIVES}
    return {
        name: f"-packages/{name}/" in mapped
        for name, places in folders.items()
        if any(next(place.rglob("*.so"), None) for place in places)
    }


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return []


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
