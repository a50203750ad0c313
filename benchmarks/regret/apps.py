"""The cases: apps whose best configurations differ, some under a budget of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TESTS = Path(__file__).parents[2] / "tests" / "apps"
OWN = Path(__file__).parents[1] / "apps"
MIB = 1024**2
# Connections that benchmarks/apps/database.py lets in: those of a small hosted PostgreSQL.
DATABASE_CONNECTIONS = 30


@dataclass(frozen=True)
class Service:
    """A script that the app asks: it is given a port, and the app the same in `variable`."""

    script: Path
    variable: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """An app, the route that is loaded, and what it may use.

    `memory_bytes` holds a reload's surge too, `cpus` is a quota in a real cgroup, `connections`
    is what the database lets in; None is no limit but the machine's.
    """

    name: str
    interface: Literal["asgi", "wsgi"]
    module: str
    route: str
    folder: Path = TESTS
    memory_bytes: int | None = None
    cpus: float | None = None
    connections: int | None = None
    service: Service | None = None

    @property
    def slug(self) -> str:
        """The name as a file name."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.name).split())


FIVE_AT_ONCE = Service(TESTS / "downstream.py", "DOWNSTREAM_PORT")
# More than there are connections: what holds such an app is its own loop, not who it asks.
MANY_AT_ONCE = Service(TESTS / "downstream.py", "DOWNSTREAM_PORT", ("1000",))
DATABASE = Service(OWN / "database.py", "DATABASE_PORT", (str(DATABASE_CONNECTIONS),))

CASES = (
    Case("async waiting", "asgi", "asgi_app", "/wait"),
    Case("async computing", "asgi", "asgi_app", "/compute"),
    Case("async mixed", "asgi", "asgi_app", "/mixed"),
    Case("loop blocked by sleep", "asgi", "asgi_app", "/blocked"),
    Case("loop blocked by a socket", "asgi", "asgi_app", "/blocked-socket", service=MANY_AT_ONCE),
    Case("loop held by CPU", "asgi", "asgi_app", "/blocked-cpu"),
    Case("def routes, 40 tokens", "asgi", "asgi_app", "/threads"),
    Case("a pool of 5", "asgi", "asgi_app", "/pool"),
    Case("slow downstream", "asgi", "asgi_app", "/downstream", service=FIVE_AT_ONCE),
    Case("leaking", "asgi", "asgi_app", "/leak"),
    Case("sync waiting", "wsgi", "wsgi_app", "/wait"),
    Case("sync computing", "wsgi", "wsgi_app", "/compute"),
    # Two workers and their successors take some 710 MB of it, three 1,060.
    Case("150 MB in 900 MB", "wsgi", "heavy_app", "/compute", memory_bytes=900 * MIB),
    # As small as containers are sold.
    Case("async, half a CPU", "asgi", "asgi_app", "/compute", memory_bytes=512 * MIB, cpus=0.5),
    Case(
        "30 connections",
        "wsgi",
        "limited",
        "/rows",
        OWN,
        connections=DATABASE_CONNECTIONS,
        service=DATABASE,
    ),
)
