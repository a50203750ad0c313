"""One booted machine: a base's root under an overlay of its own, run by systemd-nspawn.

Its processes are in a control group of their own, which is what ends them all at once. The
overlay is mounted in a mount namespace that ends with them, so that no mount can stay behind.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Where SIGKILLed nspawns leave an empty folder; a clean end removes it.
PROPAGATE = Path("/run/systemd/nspawn/propagate")
# What runs in the new mount namespace: $1 base, $2 the machine's folder, $3 its control groups,
# then nspawn's own words. With --keep-unit, nspawn ends with 133 when the machine reboots
# (EXIT_FORCE_RESTART in systemd's src/nspawn/nspawn.c) and leaves the new start to its caller.
# The variable (systemd's docs/ENVIRONMENT.md) and CAP_NET_ADMIN let it set its own net.* values.
# Without a control group each, all machines would share the one that the tests run in, units too.
RUN = """
base=$1 folder=$2 groups=$3
shift 3
mount -t overlay -o "lowerdir=$base,upperdir=$folder/disk,workdir=$folder/work" lab "$folder/root"
while :; do
    status=0
    (
        for group in $groups; do echo 0 >"$group/cgroup.procs"; done
        SYSTEMD_NSPAWN_API_VFS_WRITABLE=network exec systemd-nspawn "$@"
    ) || status=$?
    [ "$status" -eq 133 ] || exit "$status"
done
"""


def hierarchies() -> list[Path]:
    """The control group hierarchies that systemd keeps processes in, the unified one first.

    On a machine with version 1, that is its name=systemd beside version 2.
    """
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    unified = [Path(at) for _, at, kind, *_ in mounts if kind == "cgroup2"]
    named = [
        Path(at)
        for _, at, kind, options, *_ in mounts
        if kind == "cgroup" and "name=systemd" in options.split(",")
    ]
    return [*unified[:1], *named[:1]]


def end(group: Path) -> None:
    """Kill everything in a control group at once, and remove it; version 1 can only be removed."""
    if (switch := group / "cgroup.kill").exists():
        switch.write_text("1")
    inner = sorted(group.rglob("*/"), reverse=True)
    deadline = time.monotonic() + 20
    for folder in (*inner, group):
        while folder.exists():
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError as busy:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{folder} is still in use") from busy
                time.sleep(0.02)


@dataclass
class Machine:
    """A machine of a unique name, with its folder: disk (what it has written), console.log."""

    name: str
    hostname: str
    base: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def disk(self) -> Path:
        """The upper layer: what differs from the base, to be read, or written while it is off."""
        return self.folder / "disk"

    @property
    def groups(self) -> list[Path]:
        return [each / self.name for each in hierarchies()]

    def start(self, namespace: Path) -> None:
        """Boot in a network namespace; returns before anything in it is up."""
        for part in ("disk", "work", "root"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        for group in self.groups:
            group.mkdir(exist_ok=True)
        nspawn = [
            *("--quiet", "--boot", "--register=no", "--keep-unit", "--link-journal=no"),
            f"--directory={self.folder / 'root'}",
            f"--machine={self.name}",
            f"--hostname={self.hostname}",
            f"--network-namespace-path={namespace}",
            "--capability=CAP_NET_ADMIN",
        ]
        with (self.folder / "console.log").open("ab") as console:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "slave", "sh", "-euc", RUN, "lab",
                 self.base, self.folder, " ".join(map(str, self.groups)), *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def console(self) -> str:
        """The end of what it said while booting."""
        return "\n".join(
            (self.folder / "console.log").read_text("utf-8", "replace").split("\n")[-40:]
        )

    def kill(self) -> None:
        """Cut its power: every process ends where it stands, and the disk stays as it is."""
        if self.process is None:
            return
        for group in self.groups:
            end(group)
        self.process.wait(20)
        self.process = None
        with contextlib.suppress(OSError):
            (PROPAGATE / self.name).rmdir()


def remove(lab: str) -> None:
    """End all machines of a lab, whoever started them."""
    for hierarchy in hierarchies():
        for group in hierarchy.glob(f"{lab}-*"):
            end(group)
    for folder in PROPAGATE.glob(f"{lab}-*"):
        with contextlib.suppress(OSError):
            folder.rmdir()
