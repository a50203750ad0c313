"""The facts that settings were computed from, and the same facts now."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from advisor.deploy.suite.verdict import not_run
from advisor.errors import InvalidInput
from advisor.host import cgroups, limits
from advisor.host.machine import TOPOLOGY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.deploy.suite.live import Live
    from advisor.deploy.suite.tree import Tree
    from advisor.documents import Limit

BUDGET = "memory_budget_bytes"
# Another kernel keeps a little more or less of the memory for itself.
TOLERANCE_RATIO = 0.02
# What of a unit's own cgroup the directive of its file has set.
_SETS = {"quota": ("CPUQuota",), "max": ("MemoryMax",), "high": ("MemoryHigh",)}
_CONTROLLERS = ("cpu", "cpuset", "memory")
_FILES = tuple(gauge.file for gauge in (*limits.CPU_GAUGES, *limits.MEMORY_GAUGES))


def assumed(tree: Tree, name: str) -> float:
    """The value that settings were computed from."""
    values = (setting.inputs.get(name) for setting in tree.rec.settings)
    return next(float(value) for value in values if isinstance(value, int | float))


def is_share(tree: Tree) -> bool:
    """Whether the settings are for a part of the host: a budget, beside others of the app."""
    names = ("budget.cpus", "budget.memory", "background.celery", "background.rq")
    sockets = [one for one in tree.intended("hosts") or () if str(one).startswith("unix:")]
    return bool(sockets) or any(tree.intended(name) for name in names)


def still_holds(name: str, before: float, now: float, *, share: bool) -> bool:
    """Whether a fact is as it was; of a part of the host, whether that part is still there.

    >>> [still_holds("cpu.effective", 2, 4, share=share) for share in (False, True)]
    [False, True]
    >>> still_holds("memory_budget_bytes", 4e9, 8e9, share=False)
    True
    """
    if share or name == BUDGET:
        return now >= before * (1 - TOLERANCE_RATIO)
    return abs(now - before) < 0.01


def shown(name: str, value: float) -> str:
    """A fact with its unit.

    >>> shown("cpu.effective", 2.0), shown(BUDGET, 4e9)
    ('2 CPUs', '4000 MB')
    """
    return f"{value / 1e6:.0f} MB" if name.endswith("_bytes") else f"{value:g} CPUs"


def found(live: Live, tree: Tree, name: str) -> float:
    """The same fact of the app's main process now, without what our own units limit it to.

    The files of /proc and /sys that tell are copied, and read as `advisor inspect` reads them.
    """
    service = tree.service
    pid = int(live.unit(service).get("MainPID") or 0) if service else 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _copy(live, pid or 1, root)
        try:
            if name == "cpu.effective":
                rows = limits.cpu(pid or 1, root=root)[0].limits
            else:
                rows = limits.memory(pid or 1, root=root)[0].limits
        except InvalidInput as error:
            not_run(error.message)
    values = [row.value for row in rows if row.value is not None and not _is_ours(row, tree)]
    return float(min(values))


def _copy(live: Live, pid: int, root: Path) -> None:
    own = [f"/proc/{pid}/cgroup", f"/proc/{pid}/status", "/proc/self/mountinfo", "/proc/meminfo"]
    _write(live.files([*own, f"{TOPOLOGY}/online"]), root)
    mounts = cgroups.parse_mounts((root / "proc/self/mountinfo").read_text())
    memberships = cgroups.parse_membership((root / f"proc/{pid}/cgroup").read_text())
    folders = {folder for each in _CONTROLLERS for folder in _folders(each, memberships, mounts)}
    # `levels` looks for the process's own folder: one without any limit is there too.
    for folder in folders:
        (root / str(folder).lstrip("/")).mkdir(parents=True, exist_ok=True)
    more = ("memory.current", "memory.usage_in_bytes", "memory.stat", "cpu.cfs_period_us")
    _write(live.files(f"{folder}/{name}" for folder in folders for name in (*_FILES, *more)), root)


def _folders(
    controller: str, memberships: Iterable[cgroups.Membership], mounts: Iterable[cgroups.Mount]
) -> list[PurePosixPath]:
    """The folders of a process's cgroup and of those above it, wherever one is mounted."""
    return [
        mount.point / part
        for mount in mounts
        for own in memberships
        if own.version == mount.version
        and ".." not in (*own.path.parts, *mount.point.parts)
        and (own.version == 2 or controller in own.controllers & mount.controllers)
        and own.path.is_relative_to(mount.root)
        for below in [own.path.relative_to(mount.root)]
        for part in (below, *below.parents)
    ]


def _write(files: dict[str, str], root: Path) -> None:
    for path, text in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _is_ours(row: Limit, tree: Tree) -> bool:
    """Whether a unit of the tree sets this limit on its own cgroup."""
    unit = PurePosixPath(row.source).parent.name
    said = tree.directives(unit)
    return any(said.get(name) for name in _SETS.get(row.kind, ()))
