"""The process table, and what /proc tells about one process, here or in a copied tree."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.host import options
from advisor.host.cgroups import parse_membership
from advisor.host.tree import LIVE, clean, link, proc, text, under

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Of a process's environment nothing else is ever looked at: it holds secrets.
ENVIRONMENT = frozenset(
    {"GUNICORN_CMD_ARGS", "GUNICORN_PID", "WEB_CONCURRENCY"}
    | {f"{prefix}{name.upper()}" for prefix, names in options.VARIABLES.items() for name in names}
)
STATUS = re.compile(r"^(?P<key>Name|State|PPid|Uid):[ \t]*(?P<value>.*)$", re.MULTILINE)
ENDED = ("Z", "X")  # states of what has ended and is only waited for (proc(5))


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


@dataclass(frozen=True)
class Account:
    """A user's name and home folder."""

    name: str
    home: str


def table(root: Path = LIVE) -> dict[int, Process]:
    """Every process that this user can see, by PID. Kernel threads have no `argv`."""
    try:
        pids = sorted(int(name) for name in os.listdir(under(root, "/proc")) if name.isdecimal())  # noqa: PTH208 - names alone
    except OSError:
        return {}
    rows = (_row(pid, root) for pid in pids)
    return {row.pid: row for row in rows if row is not None}


def _row(pid: int, root: Path) -> Process | None:
    """None for what is gone, has ended, or is hidden by hidepid=."""
    folder = under(root, proc(pid))
    status = {match["key"]: match["value"] for match in STATUS.finditer(text(folder / "status"))}
    try:
        if status["State"].startswith(ENDED):
            return None
        return Process(
            pid=pid,
            parent=int(status["PPid"]),
            name=clean(status["Name"]),
            argv=parse_cmdline((folder / "cmdline").read_bytes()),
            uid=int(status["Uid"].split()[1]),
        )
    except (OSError, LookupError, ValueError):
        return None


def parse_cmdline(raw: bytes) -> tuple[str, ...]:
    r"""The words of /proc/PID/cmdline; by blanks where a title has taken their place.

    Words end in NUL (proc(5)), but a process may write over them, as setproctitle does.

    >>> parse_cmdline(b"nginx\0-t\0"), parse_cmdline(b"gunicorn: master [shop]\0")
    (('nginx', '-t'), ('gunicorn:', 'master', '[shop]'))
    """
    if not raw:
        return ()
    line = raw.decode("utf-8", "surrogateescape")
    words = line[:-1].split("\0") if line.endswith("\0") else [line.replace("\0", " ")]
    return tuple(map(clean, words if len(words) > 1 else words[0].removesuffix(" ").split(" ")))


def environment(pid: int, root: Path = LIVE) -> dict[str, str]:
    """The variables that configure an app server; `OSError` where it may not be read."""
    raw = under(root, f"{proc(pid)}/environ").read_bytes().decode(errors="replace")
    pairs = (entry.partition("=") for entry in raw.split("\0"))
    return {name: value for name, _, value in pairs if name in ENVIRONMENT}


def threads(pid: int) -> set[str]:
    """The names of its threads; none where it is gone."""
    return {text(path) for path in under(LIVE, f"{proc(pid)}/task").glob("*/comm")}


def usage(pid: int, root: Path = LIVE) -> Usage:
    """PSS and USS from smaps_rollup; `OSError` where it may not be read or the process is gone."""
    return parse_smaps_rollup(under(root, f"{proc(pid)}/smaps_rollup").read_text())


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


def directory(pid: int, root: Path = LIVE) -> str:
    """Its working directory; `OSError` where it may not be read."""
    return clean(link(under(root, f"{proc(pid)}/cwd")))


def filesystem(pid: int, root: Path = LIVE) -> Path:
    """The root of its file system as this user reaches it: another one in a container."""
    path = under(root, f"{proc(pid)}/root")
    return root if not os.access(path / "proc", os.F_OK) or _shares(pid, root) else path


def _shares(pid: int, root: Path) -> bool:
    """Whether it sees the files that we see: the same mounts and the same root."""
    own, its = under(root, proc(None)), under(root, proc(pid))
    try:
        mounts = link(own / "ns/mnt") == link(its / "ns/mnt")
        return mounts and (own / "root/").samefile(its / "root/")
    except OSError:
        return False


def unit(pid: int, root: Path = LIVE) -> str | None:
    """The systemd service that it runs in, by its cgroup; null outside of any."""
    try:
        return parse_unit(under(root, f"{proc(pid)}/cgroup").read_text(errors="replace"))
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


def user(uid: int, root: Path = LIVE) -> str:
    """The user's name, or the number where it has none here."""
    known = account(uid, root)
    return known.name if known else str(uid)


def account(uid: int, root: Path = LIVE) -> Account | None:
    """The user's account; null where there is none. A copy has its own /etc/passwd (passwd(5))."""
    if root == LIVE:
        try:
            known = pwd.getpwuid(uid)
        except KeyError:
            return None
        return Account(known.pw_name, known.pw_dir)
    rows = (line.split(":") for line in text(under(root, "/etc/passwd")).splitlines())
    found = (Account(clean(row[0]), row[5]) for row in rows if row[2:3] == [str(uid)] and row[5:])
    return next(found, None)


def children(rows: Mapping[int, Process], parent: int) -> list[Process]:
    """The direct children in a process table, in order of PID."""
    return sorted((row for row in rows.values() if row.parent == parent), key=lambda row: row.pid)
