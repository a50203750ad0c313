"""The process table, and what /proc tells about one process."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from advisor.host import options
from advisor.host.cgroups import parse_membership
from advisor.host.tree import clean, text

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of a process's environment nothing else is ever looked at: it holds secrets.
ENVIRONMENT = frozenset(
    {"GUNICORN_CMD_ARGS", "GUNICORN_PID", "WEB_CONCURRENCY"}
    | {f"{prefix}{name.upper()}" for prefix, names in options.VARIABLES.items() for name in names}
)


@dataclass(frozen=True)
class Process:
    """One row of the process table; `uid` is the effective one."""

    pid: int
    parent: int
    name: str
    argv: tuple[str, ...]
    uid: int


@dataclass(frozen=True)
class Usage:
    """Memory of a process in bytes: shared pages counted in part (PSS), and its own (USS)."""

    pss_bytes: int
    uss_bytes: int


def table() -> dict[int, Process]:
    """Every process that this user can see, by PID. Kernel threads have no `argv`."""
    rows = {}
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                rows[process.pid] = Process(
                    pid=process.pid,
                    parent=process.ppid(),
                    name=clean(process.name()),
                    argv=tuple(map(clean, process.cmdline())),
                    uid=process.uids().effective,
                )
        except psutil.Error:  # gone, a zombie, or hidden by hidepid=
            continue
    return rows


def environment(pid: int) -> dict[str, str]:
    """The variables that configure an app server; `OSError` where it may not be read."""
    raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    pairs = (entry.partition("=") for entry in raw.split("\0"))
    return {name: value for name, _, value in pairs if name in ENVIRONMENT}


def threads(pid: int) -> set[str]:
    """The names of its threads; none where it is gone."""
    return {text(path) for path in Path(f"/proc/{pid}/task").glob("*/comm")}


def usage(pid: int) -> Usage:
    """PSS and USS from smaps_rollup; `OSError` where it may not be read or the process is gone."""
    return parse_smaps_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text())


def parse_smaps_rollup(rollup: str) -> Usage:
    r"""PSS, and USS as the sum of private pages, huge ones too; `ProcessLookupError` if empty.

    >>> parse_smaps_rollup("Pss: 3 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 1 kB\n").uss_bytes
    2048
    """
    rows = (line.split() for line in rollup.splitlines() if line.endswith(" kB"))
    sizes = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}
    if "Pss" not in sizes:  # a process that is ending has no memory left
        raise ProcessLookupError
    private = ("Private_Clean", "Private_Dirty", "Private_Hugetlb")
    return Usage(sizes["Pss"], sum(sizes.get(name, 0) for name in private))


def directory(pid: int) -> str:
    """Its working directory; `OSError` where it may not be read."""
    return clean(str(Path(f"/proc/{pid}/cwd").readlink()))


def filesystem(pid: int) -> Path:
    """The root of its file system as this user reaches it: another one in a container."""
    path = Path(f"/proc/{pid}/root")
    return Path("/") if not os.access(path / "proc", os.F_OK) or _shares(pid) else path


def _shares(pid: int) -> bool:
    """Whether it sees the files that we see: the same mounts and the same root."""
    own, its = Path("/proc/self"), Path(f"/proc/{pid}")
    try:
        mounts = (own / "ns/mnt").readlink() == (its / "ns/mnt").readlink()
        return mounts and (own / "root/").samefile(its / "root/")
    except OSError:
        return False


def unit(pid: int) -> str | None:
    """The systemd service that it runs in, by its cgroup; null outside of any."""
    try:
        return parse_unit(Path(f"/proc/{pid}/cgroup").read_text(errors="replace"))
    except OSError:
        return None


def parse_unit(cgroup: str) -> str | None:
    """The service of a /proc/PID/cgroup text: the innermost one, no user's own manager.

    >>> parse_unit("0::/system.slice/shop.service/workers")
    'shop.service'
    >>> parse_unit("0::/user.slice/user-1000.slice/user@1000.service/init.scope") is None
    True
    """
    for membership in parse_membership(cgroup):
        if membership.version == 1 and "name=systemd" not in membership.controllers:
            continue
        for part in reversed(membership.path.parts):
            if part.endswith((".scope", ".slice")) or part.startswith("user@"):
                break
            if part.endswith(".service"):
                return part
    return None


def denied() -> tuple[str, str]:
    """Why a process may not be read, and what to do: root in a container may lack ptrace."""
    uid = os.geteuid()
    remedy = "run as root" if uid else "give the container SYS_PTRACE, or run on the host"
    return f"not readable by uid {uid}", remedy


def user(uid: int) -> str:
    """The user's name, or the number where it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def children(rows: Mapping[int, Process], parent: int) -> list[Process]:
    """The direct children in a process table, in order of PID."""
    return sorted((row for row in rows.values() if row.parent == parent), key=lambda row: row.pid)
