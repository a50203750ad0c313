"""What the apps stand on: slow services, and real limits. Started and taken away again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from advisor.demo.processes import free_port
from advisor.errors import AdvisorError
from advisor.host import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator

PERIOD_US = 100_000
WAIT_S = 10.0
NICE = -20
# Joins the group named first, then becomes the server: its workers are born inside.
JOIN = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
LIMITS = {
    ("cpu", 1): "cpu.cfs_quota_us",
    ("cpu", 2): "cpu.max",
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
}


@contextmanager
def service(script: Path, *more: str) -> Iterator[int]:
    """A script that is given a port and listens there, from then on; the port.

    It stands for another host: it runs on any core, and before what loads them (as root).
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(script), str(port), *more],
        start_new_session=True,  # Ctrl-C is for the benchmark, which ends it
    )
    try:
        os.sched_setaffinity(process.pid, range(os.cpu_count() or 1))
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        deadline = time.monotonic() + WAIT_S
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AdvisorError(f"{script} does not listen on port {port}")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Group:
    """A real group of cgroup v1 or v2, with one limit."""

    folder: Path
    version: int

    def around(self, command: list[str]) -> list[str]:
        """The same command, run inside."""
        return [*JOIN, str(self.folder / "cgroup.procs"), *command]

    def peak_bytes(self) -> int:
        """The most memory that it has held; 0 where the kernel does not tell (v2 before 5.19)."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        try:
            return int((self.folder / name).read_text())
        except FileNotFoundError:
            return 0

    def killed(self) -> int:
        """Processes that were killed because its memory ran out."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        rows = (line.split() for line in (self.folder / name).read_text().splitlines())
        return next((int(number) for word, number in rows if word == "oom_kill"), 0)


@contextmanager
def group_of(controller: Literal["cpu", "memory"], limit: float) -> Iterator[Group]:
    """A group with a limit in CPUs or bytes, taken away when its last process has gone.

    `AdvisorError` where none can be made: without root, or without the controller.
    """
    with ExitStack() as stack:
        try:
            group = _place(controller)
            group.folder.mkdir()
            stack.callback(_remove, group.folder)
            text = str(int(limit * PERIOD_US if controller == "cpu" else limit))
            if (controller, group.version) == ("cpu", 2):
                text = f"{text} {PERIOD_US}"
            (group.folder / LIMITS[controller, group.version]).write_text(text)
        except OSError as error:
            raise AdvisorError(f"no {controller} limit can be set here: {error}") from None
        yield group


def _place(controller: str) -> Group:
    """Where a group can be made.

    Below the own group in v1; below the mount in v2, where a group with processes hands no
    controller down, but the root does.
    """
    root = Path("/")
    memberships = cgroups.parse_membership(Path("/proc/self/cgroup").read_text())
    mounts = cgroups.parse_mounts(Path("/proc/self/mountinfo").read_text())
    found = cgroups.levels(controller, memberships, mounts, root)
    if not found.directories:
        raise AdvisorError(f"no cgroup of the {controller} controller is mounted here")
    own, top = (root / str(found.directories[i]).lstrip("/") for i in (0, -1))
    name = f"advisor-{controller}-{os.getpid()}"
    control = top / "cgroup.subtree_control"
    if not control.exists():
        return Group(own / name, 1)
    if controller not in control.read_text().split():
        control.write_text(f"+{controller}")
    return Group(top / name, 2)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
