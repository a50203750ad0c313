"""What a rendered tree says should be on a host: the suite's one source of expectations."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from advisor.deploy.parcel import INSTALL, RECOMMENDATION, Parcel, parcel, read_tree, tree_for
from advisor.deploy.suite.reading import assignments
from advisor.deploy.switch.documents import Install, Refused
from advisor.documents import Recommendation
from advisor.errors import InvalidInput
from advisor.files import parse, validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from advisor.deploy.switch.documents import Row

SERVERS = frozenset({"gunicorn", "uvicorn", "hypercorn", "granian"})
SYSTEMD = "/etc/systemd/system"
# What the servers' command lines call the place that they open themselves.
_OWN_SOCKET = {"--bind": "", "--uds": "unix:"}


@dataclass(frozen=True)
class Tree:
    """The part of a tree that one host has."""

    parcel: Parcel
    install: Install
    rec: Recommendation

    def content(self, row: Row) -> bytes:
        """A file's bytes as rendered."""
        return self.parcel.files[row.path]

    def text(self, row: Row) -> str:
        """The same as text."""
        return self.content(row).decode()

    def digest(self, row: Row) -> str:
        """The SHA-256 of a file as rendered."""
        return hashlib.sha256(self.content(row)).hexdigest()

    def value(self, id_: str) -> Any:
        """A setting's value; null where it is left to the product."""
        return next((one.value for one in self.rec.settings if one.id == id_), None)

    def intended(self, name: str) -> Any:
        """A value of the intent; null where it has none."""
        found = self.rec.intent.get(name)
        return found.value if found else None

    def directives(self, unit: str) -> dict[str, list[str]]:
        """The assignments of a unit's own file, or of our drop-in beside it."""
        found: dict[str, list[str]] = {}
        for row in self.install.files:
            name = row.target.removeprefix(f"{SYSTEMD}/")
            if name == unit or name.startswith(f"{unit}.d/"):
                found |= assignments(self.text(row))
        return found

    def owns(self, unit: str) -> bool:
        """Whether the unit is a file of the tree, and not somebody's that we add to."""
        return any(row.target == f"{SYSTEMD}/{unit}" for row in self.install.files)

    @cached_property
    def service(self) -> str | None:
        """The unit that the app's server runs in; null where the tree has none."""
        return next((unit.name for unit in self.install.units if unit.kind == "service"), None)

    @cached_property
    def sysctls(self) -> dict[str, str]:
        """The kernel's values that the tree sets, by their names."""
        lines = (line for row in self._of("sysctl") for line in self.text(row).splitlines())
        pairs = (line.partition("=") for line in lines if not line.startswith("#"))
        return {name.strip(): value.strip() for name, mark, value in pairs if mark}

    @cached_property
    def listens(self) -> tuple[str, ...]:
        """Where something should listen: `80`, `[::1]:8000`, `unix:/run/a.sock`, `udp 443`."""
        health = self.install.health
        asked = [] if health is None else [(health.address, health.port)]
        shown = [*self._of_units(), *self._of_nginx()]
        # What nginx's files say already is not said twice, as an address.
        if not self._of_nginx_rows():
            shown += [f"{where}:{port}" if port else f"unix:{where}" for where, port in asked]
        return tuple(dict.fromkeys(shown))

    @cached_property
    def protocols(self) -> frozenset[str] | None:
        """The versions of TLS that the proxy should take; null where it speaks none.

        Caddy's own are TLS 1.2 and 1.3 (its documentation of `tls`, protocols). nginx's own differ
        by version: where its file says nothing, nothing is expected.
        """
        if self.install.health is None or self.install.health.scheme != "https":
            return None
        if self.install.proxy == "caddy":
            said = self._words(r"^\s*protocols (tls1\.[0-9].*)$", "caddy", "load_balancer")
            versions = [word.removeprefix("tls1.") for word in said] or ["2", "3"]
            lowest, highest = int(versions[0]), int(versions[-1])
            return frozenset(f"TLSv1.{minor}" for minor in range(lowest, highest + 1))
        return (
            frozenset(self._words(r"^\s*ssl_protocols ([^;]+);", "nginx", "load_balancer")) or None
        )

    def _words(self, pattern: str, *components: str) -> list[str]:
        texts = (self.text(row) for name in components for row in self._of(name))
        matches = (re.search(pattern, text, re.MULTILINE) for text in texts)
        return next((match[1].split() for match in matches if match), [])

    def _of(self, component: str) -> list[Row]:
        return [row for row in self.install.files if row.component == component]

    def _of_nginx_rows(self) -> list[Row]:
        return [row for row in self.install.files if row.checker == "nginx"]

    def _of_units(self) -> Iterator[str]:
        for unit in self.install.units:
            said = self.directives(unit.name)
            for place in said.get("ListenStream", []):
                yield f"unix:{place}" if place.startswith("/") else place
            for command in said.get("ExecStart", []) if unit.name == self.service else []:
                yield from own_socket(shlex.split(command))

    def _of_nginx(self) -> Iterator[str]:
        for row in self._of_nginx_rows():
            for words in re.findall(r"^\s*listen\s+([^;]+);", self.text(row), re.MULTILINE):
                place, *more = words.split()
                yield f"udp {place}" if "quic" in more else place


def own_socket(command: list[str]) -> Iterator[str]:
    """What a server's command line opens itself; a descriptor it is given is not of it.

    >>> list(own_socket(["uvicorn", "--host", "::1", "--port", "80", "a:b"]))
    ['[::1]:80']
    >>> list(own_socket(["hypercorn", "--bind", "fd://3"])), list(own_socket(["x", "--uds", "/s"]))
    ([], ['unix:/s'])
    """
    options = dict(pairwise(command))
    for name, before in _OWN_SOCKET.items():
        place = options.get(name, "fd://")
        if not place.startswith("fd://"):
            yield f"{before}{place}"
    host, port = options.get("--host"), options.get("--port")
    if host and port:
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tree_of(directory: Path, host: str, parts: Sequence[str]) -> Tree | None:
    """What a host has of the tree that is for it, as `advisor apply` hands it over.

    `parts` are the kinds of host that it is: app, load_balancer, monitoring. Null where the tree
    has nothing for them. Raises `InvalidInput` where there is no tree, or an edited one.
    """
    folder = tree_for(directory, host, parts)
    found = parcel(read_tree(folder), parts)
    if found is None:
        return None
    try:
        install = Install.from_json(found.files[INSTALL])
    except Refused as error:
        raise InvalidInput(f"{folder}: {error}") from None
    name, text = str(folder / RECOMMENDATION), found.files[RECOMMENDATION].decode()
    data = parse(text, name=name, is_json=False)
    return Tree(found, install, validate(Recommendation, data, name=name, text=text))
