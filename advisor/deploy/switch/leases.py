"""Which peers of a balancer are out, and until when: state below /run, gone with a boot."""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from . import disk
from .documents import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .layout import Layout

SCHEMA = "advisor/drained/1"
STATE = "state.json"
LOCK_S, POLL_S = 60.0, 0.05


@dataclass(frozen=True)
class Lease:
    """A peer may be out until this moment of the monotonic clock, when the timer `unit` ends it.

    `before` holds the processes that served it before the daemon took it out: with none, a lease
    stands for the intention.
    """

    until: float
    unit: str
    before: Sequence[int] = ()

    @property
    def is_out(self) -> bool:
        """Whether the daemon has taken the peer out."""
        return bool(self.before)


Leases = dict[str, Lease]


def drained(layout: Layout) -> Path:
    """Where the leases stand, and the copies that the daemons read meanwhile."""
    return layout.run / "drained"


def read(folder: Path) -> Leases:
    """The leases of one app by peer."""
    try:
        stated = json.loads((folder / STATE).read_bytes())
    except FileNotFoundError:
        return {}
    return {peer: Lease(**lease) for peer, lease in stated["leases"].items()}


def write(folder: Path, leases: Mapping[str, Lease]) -> None:
    """In the place of those that were there; the last one takes the folder along."""
    if not leases:
        # First what is believed: a copy that is left over misleads nobody, a lease would.
        disk.discard(folder / STATE)
        disk.remove_tree(folder)
        return
    stated = {peer: asdict(lease) for peer, lease in leases.items()}
    disk.replace(
        folder / STATE, json.dumps({"schema": SCHEMA, "leases": stated}).encode(), mode=0o600
    )


def make(folder: Path, layout: Layout) -> None:
    """The app's folder, which a daemon's own user can pass and not list."""
    layout.run.parent.mkdir(mode=0o755, exist_ok=True)
    for each in (layout.run, drained(layout), folder):
        each.mkdir(mode=0o711, exist_ok=True)
        each.chmod(each.stat().st_mode | 0o011)


@contextlib.contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """One drain at a time on a host; `Refused` where another takes too long."""
    make(drained(layout), layout)
    with (drained(layout) / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_S
        while not _locked(lock.fileno()):
            if time.monotonic() > deadline:
                raise refuse(
                    "drain",
                    f"another drain or undrain on this host goes on for {LOCK_S:g} s",
                    "ps -ef | grep switch.pyz",
                )
            time.sleep(POLL_S)
        yield


def _locked(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
