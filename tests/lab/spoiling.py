"""What tests do to a host of the lab while its switch works: kills, and disks that fail."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.host import Host

STATE = "/var/lib/advisor"
FILL = "head -c 64M /dev/zero > {0}/fill 2>/dev/null; head -c 1M /dev/zero > {0}/fill2 2>/dev/null"
# Kills the switch as soon as the journal has a step of this operation, however late it is then,
# and so often: systemd starts it again in between.
KILLER = """
import json, os, signal, subprocess, sys, time
id_, step, times, later = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
until = time.monotonic() + 60
show = ["systemctl", "show", "--value", "--property=MainPID,ActiveState", "advisor-switch.service"]
def steps():
    try:
        with open("/var/lib/advisor/journal.jsonl") as stream:
            return [json.loads(line)["step"] for line in stream if id_ in line]
    except FileNotFoundError:
        return []
while step not in steps():
    if time.monotonic() > until:
        sys.exit("it never came to " + step)
    time.sleep(0.001)
killed = set()
while len(killed) < times and time.monotonic() < until:
    time.sleep(later)
    pid, state = subprocess.run(show, capture_output=True, text=True).stdout.split()
    if state in ("inactive", "failed"):
        break  # it had ended by itself
    if pid not in (*killed, "0"):
        try:
            os.kill(int(pid), signal.SIGKILL)
            killed.add(pid)
        except ProcessLookupError:
            pass
    time.sleep(0.002)
print(len(killed))
"""


def kill(host: Host, id_: str, step: str, times: int = 1, later_s: float = 0.0) -> int:
    """How often it was killed."""
    host.put("/root/kill.py", KILLER)
    return int(host.run(f"python3 /root/kill.py {id_} {step} {times} {later_s}", timeout=90).out)


@contextmanager
def disk_at(host: Host, folder: str) -> Iterator[None]:
    """A small disk of its own with what is in the folder; what is written to it stays."""
    copy = f"/root/copy{folder.replace('/', '-')}"
    host.run(
        f"mkdir -p {copy} && cp -a {folder}/. {copy} && chmod --reference={folder} {copy}"
        f" && mount -t tmpfs -o size=3M,mode=$(stat -c %a {folder}) tmpfs {folder}"
        f" && cp -a {copy}/. {folder}"
    )
    try:
        yield
    finally:
        host.run(
            f"[ $(grep -c ' {folder} ' /proc/mounts) -lt 2 ] || umount -l {folder}"
            f"; rm -rf {folder}/fill* {copy}; mkdir {copy}"
            f" && cp -a {folder}/. {copy} && umount -l {folder}"
            f" && find {folder} -mindepth 1 -delete && cp -a {copy}/. {folder} && rm -rf {copy}"
        )


def fill(host: Host, folder: str) -> None:
    """Not one block is left."""
    host.run(FILL.format(folder), check=False)
    assert host.run(f"df --output=avail {folder} | tail -1").out.strip() == "0"


def read_only(host: Host, folder: str) -> None:
    """From now on for whoever opens anything there; until `umount`."""
    host.run(f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}")
