"""Kernel and descriptor limits that apply to one process."""

from __future__ import annotations

import re
from pathlib import Path

from advisor.documents import Kernel, Unknown
from advisor.host.tree import link, proc, text, under

_ASSIGNED = re.compile(r"^([a-z0-9_.-]+) =", re.MULTILINE)


def kernel(pid: int | None = None, *, root: Path = Path("/")) -> tuple[Kernel, list[Unknown]]:
    """Descriptor limits of the process and of the host, and its network namespace's limits.

    /proc/sys/net shows the reader's namespace only: where the process has another one, its
    values are null. fs.file-max has no namespaces: it is the host's in a container too.
    """
    same, unknown = same_network(pid, root)
    soft, hard = parse_nofile(text(under(root, f"{proc(pid)}/limits")))
    return (
        Kernel(
            somaxconn=_net(root, "core/somaxconn") if same else None,
            nofile_soft=soft,
            nofile_hard=hard,
            ip_local_port_range=_ports(root) if same else None,
            tcp_max_syn_backlog=_net(root, "ipv4/tcp_max_syn_backlog") if same else None,
            tcp_fin_timeout_s=_net(root, "ipv4/tcp_fin_timeout") if same else None,
            tcp_migrate_req=_net(root, "ipv4/tcp_migrate_req") if same else None,
            file_max=_count(text(under(root, "/proc/sys/fs/file-max"))),
            set_by_advisor=_ours(root) if same else [],
        ),
        unknown,
    )


def parse_nofile(text: str) -> tuple[int | None, int | None]:
    """Soft and hard limit of open files in a text of /proc/PID/limits; null is "unlimited".

    >>> parse_nofile("Max open files            1024                 524288               files")
    (1024, 524288)
    """
    found = re.search(r"^Max open files +(\S+) +(\S+)", text, re.MULTILINE)
    return (_count(found[1]), _count(found[2])) if found else (None, None)


def same_network(pid: int | None, root: Path) -> tuple[bool, list[Unknown]]:
    """Whether the process shares the reader's network namespace; assumed where unreadable."""
    if pid is None:
        return True, []
    try:
        theirs = link(under(root, f"{proc(pid)}/ns/net"))
        same = theirs == link(under(root, f"{proc(None)}/ns/net"))
    except PermissionError:
        return True, [
            Unknown(
                what=f"network namespace of pid {pid}",
                why="not readable by this user; taken to be this host's own",
                remedy="run as root",
            )
        ]
    except OSError:
        return True, []
    if same:
        return True, []
    return False, [
        Unknown(
            what=f"somaxconn, port range, other TCP limits and interfaces of pid {pid}",
            why="it has a network namespace of its own",
            remedy=f"nsenter --net --target {pid} advisor inspect",
        )
    ]


def _ours(root: Path) -> list[str]:
    """What the files set that were rendered by advisor (templates/sysctl)."""
    texts = map(text, sorted(under(root, "/etc/sysctl.d").glob("90-*.conf")))
    ours = (each for each in texts if each.startswith("# Rendered by advisor "))
    return sorted({name for each in ours for name in _ASSIGNED.findall(each)})


def _net(root: Path, name: str) -> int | None:
    return _count(text(under(root, f"/proc/sys/net/{name}")))


def _ports(root: Path) -> list[int] | None:
    words = text(under(root, "/proc/sys/net/ipv4/ip_local_port_range"))
    ports = re.fullmatch(r"([0-9]{1,5})\s+([0-9]{1,5})", words)
    return [*map(int, ports.groups())] if ports else None


def _count(word: str) -> int | None:
    return int(word) if re.fullmatch("[0-9]{1,19}", word) else None
