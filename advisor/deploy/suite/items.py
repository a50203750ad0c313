"""What there is to check on a host: one item for each line of `advisor verify`, from its tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.deploy.suite import reading
from advisor.deploy.suite.tree import SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from advisor.deploy.suite.tree import Tree
    from advisor.deploy.switch.documents import Row

# What a version of TLS is called by nginx and by the question that a host puts to itself.
VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True)
class Limit:
    """A directive that limits a unit.

    `property` is what `systemctl show` calls it, `read` makes numbers of both. `files` are where
    the kernel holds it below the unit's own cgroup, as (controller of version 1, file) and then,
    without a controller, version 2's (Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/).
    """

    directive: str
    property: str
    read: Callable[[str], float | None]
    files: tuple[tuple[str, str], ...] = ()


LIMITS = (
    Limit("LimitNOFILE", "LimitNOFILE", reading.amount),
    Limit(
        *("TasksMax", "TasksMax", reading.amount),
        files=(("", "pids.max"), ("pids", "pids.max")),
    ),
    Limit("MemoryHigh", "MemoryHigh", reading.amount, files=(("", "memory.high"),)),
    Limit(
        *("MemoryMax", "MemoryMax", reading.amount),
        files=(("", "memory.max"), ("memory", "memory.limit_in_bytes")),
    ),
    Limit("CPUWeight", "CPUWeight", reading.amount, files=(("", "cpu.weight"),)),
    Limit("CPUQuota", "CPUQuotaPerSecUSec", reading.quota),
    Limit("TimeoutStartSec", "TimeoutStartUSec", reading.seconds),
    Limit("TimeoutStopSec", "TimeoutStopUSec", reading.seconds),
    Limit("RestartSec", "RestartUSec", reading.seconds),
)


@dataclass(frozen=True)
class Bound:
    """One limit of one unit, and what the tree sets it to."""

    unit: str
    limit: Limit
    text: str

    def __str__(self) -> str:
        return f"{self.unit} {self.limit.directive}"

    @property
    def wanted(self) -> float | None:
        """What the tree sets, as a number."""
        return self.limit.read(self.text)


@dataclass(frozen=True)
class Reader:
    """A file of the tree and the unit whose processes read it.

    `who` reads it: the `main` process as it starts, its `children` as they start, or the `socket`
    unit as it is opened.
    """

    row: Row
    unit: str
    who: str

    def __str__(self) -> str:
        return f"{self.unit} {self.row.path}"


def bounds(tree: Tree) -> list[Bound]:
    """The limits that the tree sets, unit by unit."""
    return [
        Bound(unit.name, limit, said[limit.directive][-1])
        for unit in tree.install.units
        for said in [tree.directives(unit.name)]
        for limit in LIMITS
        if said.get(limit.directive)
    ]


def enforced(tree: Tree) -> list[Bound]:
    """Those that a process or its cgroup shows; systemd keeps the others itself."""
    shown = {"LimitNOFILE", "CPUQuota"}
    return [one for one in bounds(tree) if one.limit.files or one.limit.directive in shown]


def readers(tree: Tree) -> list[Reader]:
    """Who reads which file, where a process or a socket shows when it did."""
    return [reader for row in tree.install.files if (reader := _reader(row, tree)) is not None]


def _reader(row: Row, tree: Tree) -> Reader | None:
    own = {unit.name: unit for unit in tree.install.units}
    name = row.target.rpartition("/")[2]
    folder = row.target.split("/")[-2].removesuffix(".d")
    unit = own.get(name) or own.get(folder)
    if unit is not None:
        return Reader(row, unit.name, "socket" if unit.kind == "socket" else "main")
    if row.checker == "nginx":
        return Reader(row, "nginx.service", "children")
    if row.component in SERVERS | {"environment"} and tree.service is not None:
        # Gunicorn's master reads its file again on a reload, and starts its workers anew.
        reloads = row.component == "gunicorn" and row.activation == "reload"
        return Reader(row, tree.service, "children" if reloads else "main")
    return None


def servers(tree: Tree) -> list[str]:
    """The app's server, where the tree says how it serves and a unit of the tree runs it."""
    kinds = [row.component for row in tree.install.files if row.component in SERVERS]
    return kinds if tree.service is not None else []


def backlogs(tree: Tree) -> list[str]:
    """Where the app listens, if how many may wait there is set.

    Gunicorn's asgi class listens again with asyncio's 100, whatever is set.
    """
    if tree.value("gunicorn.worker_class") == "asgi" or tree.service is None:
        return []
    said = tree.directives(tree.service.removesuffix(".service") + ".socket")
    return said.get("ListenStream", []) if said.get("Backlog") else []


def assumptions(tree: Tree) -> list[str]:
    """The facts of the app's own host that settings were computed from."""
    if not any(row.component in SERVERS | {"systemd"} for row in tree.install.files):
        return []
    used = {name for setting in tree.rec.settings for name in setting.inputs}
    return [name for name in ("cpu.effective", "memory_budget_bytes") if name in used]


def urls(tree: Tree) -> list[str]:
    """The app's health route, as a client asks for it."""
    health = tree.install.health
    if health is None:
        return []
    usual = {"http": 80, "https": 443}[health.scheme]
    port = "" if health.port == usual else f":{health.port}"
    return [f"{health.scheme}://{health.host}{port}{health.path}"]


def _caddyfiles(tree: Tree) -> list[str]:
    """The host's one Caddyfile, which includes the sites'."""
    is_caddy = any(row.checker == "caddy" for row in tree.install.files)
    return ["/etc/caddy/Caddyfile"] if is_caddy else []


def _always(tree: Tree) -> list[str]:
    return [tree.install.app]


def _https(tree: Tree) -> list[str]:
    health = tree.install.health
    return [health.host] if health is not None and health.scheme == "https" else []


def _remembered(tree: Tree) -> list[str]:
    return ["server"] if tree.service is not None and tree.rec.prediction.memory_bytes else []


# By the name of a check's parameter: what it is asked for.
ITEMS: Mapping[str, Callable[[Tree], Iterable[Any]]] = {
    "app": _always,
    "assumption": assumptions,
    "backlog": backlogs,
    "bound": bounds,
    "cache": lambda tree: [row for row in tree.install.files if row.checker == "redis"],
    "caddy": _caddyfiles,
    "certificate": _https,
    "enforced": enforced,
    "gunicorn": lambda tree: [kind for kind in servers(tree) if kind == "gunicorn"],
    "key": lambda tree: tree.sysctls,
    "listen": lambda tree: tree.listens,
    "memory": _remembered,
    "own_unit": lambda tree: [one for one in tree.install.units if tree.owns(one.name)],
    "reader": readers,
    "row": lambda tree: tree.install.files,
    "server": servers,
    "site": lambda tree: [row for row in tree.install.files if row.checker == "nginx"],
    "unit": lambda tree: tree.install.units,
    "url": urls,
    "version": lambda tree: VERSIONS if tree.protocols is not None else (),
}


def words(item: Any) -> str:
    """What an item is called in a line: a file by where its daemon looks, a unit by its name."""
    for name in ("target", "name"):
        found = getattr(item, name, None)
        if isinstance(found, str):
            return found
    return str(item)
