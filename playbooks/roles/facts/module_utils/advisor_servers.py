# ruff: noqa: INP001, PTH110, PTH115, PTH118, PTH119, PTH120, PTH121, PTH207 - found by its folder; paths are bytes
"""App servers and stores that run on a host, each with what the kernel lets us read of it."""

from __future__ import annotations

import glob
import os
import pwd
import re

from ansible.module_utils.advisor_copy import Copy, entries, latin, lines, read
from ansible.module_utils.advisor_masks import arguments, chosen, line, words_of
from ansible.module_utils.advisor_sockets import sockets

MOST_PROCESSES = 1000
# A command line without any of these words starts no app server that is known.
SERVERS = re.compile(rb"gunicorn|uvicorn|hypercorn|granian|fastapi|multiprocessing")
STORES = {b"redis-server", b"valkey-server", b"keydb-server"}
STATUS = re.compile(rb"^(?:Name|State|PPid|Uid|Cpus_allowed_list):.*\n", re.MULTILINE)
EFFECTIVE = re.compile(rb"^Uid:\s+\d+\s+(\d+)", re.MULTILINE)
MAPPED = re.compile(rb" (/\S+)/lib(?:64)?/python\d\.\d+t?/site-packages/")
CGROUP_FILES = (
    *("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"),
    *("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    *("memory.max", "memory.high", "memory.limit_in_bytes"),
    *("memory.current", "memory.usage_in_bytes"),
)
ESCAPE = re.compile(rb"\\([0-7]{3})")


def processes(copy: Copy) -> None:
    """The processes that matter, our own limits, and the accounts of all their users."""
    mounts = copy.file("/proc/self/mountinfo", lambda text: lines(text, _is_cgroup))
    users = {_process(copy, "self", mounts)}
    found = 0
    for pid in filter(str.isdecimal, entries("/proc")):
        try:
            cmdline = read(f"/proc/{pid}/cmdline")
        except OSError:  # gone, or hidden by hidepid=
            continue
        is_server = SERVERS.search(cmdline) is not None
        is_store = os.path.basename(re.split(rb"[\0 ]", cmdline)[0]) in STORES
        if found == MOST_PROCESSES or not (is_server or is_store):
            continue
        found += 1
        uid = _process(copy, pid, mounts)
        users.add(uid)
        copy.file(f"/proc/{pid}/cmdline", line)
        if is_server:
            _server(copy, f"/proc/{pid}", words_of(cmdline), _account(uid))
    copy.files["/etc/passwd"] = "".join(
        f"{latin(row.pw_name)}:x:{row.pw_uid}:{row.pw_gid}::{latin(row.pw_dir)}:\n"
        for row in map(_account, sorted(users))
        if row
    )


def _process(copy: Copy, pid: str, mounts: bytes) -> int:
    """What every process has, and the limits of its control groups; its user, -1 if it is gone."""
    status = copy.file(f"/proc/{pid}/status", lambda text: b"".join(STATUS.findall(text)))
    copy.file(f"/proc/{pid}/limits")
    copy.link(f"/proc/{pid}/ns/net")
    copy.link(f"/proc/{pid}/ns/mnt")
    for folder in groups(mounts, copy.file(f"/proc/{pid}/cgroup")):
        if latin(folder) not in copy.folders:
            copy.folder(folder)
            copy.file(f"{folder}/memory.stat", lambda text: lines(text, _is_inactive))
            for name in CGROUP_FILES:
                copy.file(f"{folder}/{name}")
    found = EFFECTIVE.search(status)
    return int(found[1]) if found else -1


def groups(mounts: bytes, memberships: bytes) -> list[str]:
    r"""The folders of a process's control groups, from its own up to each mount's root.

    >>> groups(b"31 23 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", b"0::/a/b\n")
    ['/sys/fs/cgroup', '/sys/fs/cgroup/a', '/sys/fs/cgroup/a/b']
    """
    rows = [row.split(b":", 2) for row in memberships.splitlines()]
    paths = [os.fsdecode(row[2]).replace(" (deleted)", "") for row in rows if len(row) == 3]
    found = set()
    for mount in mounts.splitlines():
        root, point = map(_unescaped, mount.split()[3:5])
        found.add(point)
        for path in paths:
            if path == root or path.startswith(f"{root.rstrip('/')}/"):
                below = os.path.relpath(path, root)
                while below not in {"", "."}:
                    found.add(os.path.normpath(os.path.join(point, below)))
                    below = os.path.dirname(below)
    return sorted(found)


def _server(copy: Copy, base: str, words: list[str], user: pwd.struct_passwd | None) -> None:
    """A process of an app server: its settings, memory, sockets and Python environment."""
    variables = copy.file(f"{base}/environ", chosen)
    copy.file(f"{base}/smaps_rollup")
    maps = copy.file(f"{base}/maps", lambda text: lines(text, _is_package))
    cwd, exe = copy.link(f"{base}/cwd"), copy.link(f"{base}/exe")
    sockets(copy, base)
    root = filesystem(base)
    if root:
        copy.folder(f"{root}/proc")
    for path in configurations([*words, *arguments(variables)], cwd):
        copy.file(root + path, name=root + os.path.normpath(path))
    programs = [exe, *(os.path.join(cwd or "/", word) for word in words[:2] if "/" in word)]
    prefixes = [os.path.dirname(os.path.dirname(os.path.normpath(path))) for path in programs]
    prefixes += map(os.fsdecode, MAPPED.findall(maps))
    prefixes += [f"{user.pw_dir}/.local"] if user else []
    for prefix in dict.fromkeys([*prefixes, "/usr/local", "/usr"]):
        environment(copy, root + prefix.rstrip("/"))


def filesystem(base: str) -> str:
    """The root of a container's file system as it is reached from here; empty for our own."""
    root = f"{base}/root"
    if not os.path.exists(f"{root}/proc"):
        return ""
    try:
        mounts = os.readlink("/proc/self/ns/mnt") == os.readlink(f"{base}/ns/mnt")
        return "" if mounts and os.path.samefile("/proc/self/root/", f"{root}/") else root
    except OSError:
        return root


def configurations(words: list[str], cwd: str) -> list[str]:
    """The paths that words name as the server's configuration, and Gunicorn's default.

    >>> configurations(["hypercorn", "-c", "file:/etc/h.py", "--config=b.toml"], "/srv")
    ['/srv/gunicorn.conf.py', '/etc/h.py', '/srv/b.toml']
    """
    names = ["gunicorn.conf.py"]
    for before, word in zip(["", *words], words):  # noqa: B905 - Python 3.9
        if before in {"-c", "--config"}:
            names.append(word)
        elif word.startswith("--config="):
            names.append(word.partition("=")[2])
        elif word.startswith("-c") and word != "-c":
            names.append(word[2:])
    paths = [name.removeprefix("file:") for name in names]
    return [os.path.join(cwd, path) for path in paths if path.startswith("/") or cwd]


def environment(copy: Copy, prefix: str) -> None:
    """The packages of a Python environment by the names of their folders (PyPA's record)."""
    copy.file(f"{prefix}/pyvenv.cfg")
    for library in glob.glob(f"{glob.escape(prefix)}/lib*/python3*"):
        if latin(library) in copy.folders:
            continue
        copy.folder(library)
        for site in (f"{library}/site-packages", f"{library}/dist-packages"):
            names = [name for name in entries(site) if name.endswith((".dist-info", ".egg-info"))]
            copy.folders.update(latin(f"{site}/{name}") for name in names)


def _account(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except (LookupError, OverflowError):
        return None


def _is_cgroup(row: bytes) -> bool:
    return b" - cgroup" in row


def _is_package(row: bytes) -> bool:
    return MAPPED.search(row) is not None


def _is_inactive(row: bytes) -> bool:
    return row.startswith((b"inactive_file ", b"total_inactive_file "))


def _unescaped(field: bytes) -> str:
    """A field of mountinfo without the octal escapes of its blanks (proc(5))."""
    return os.fsdecode(ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field))
