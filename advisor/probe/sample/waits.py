"""What the main threads of the workers do, sampled from outside, 200 times a second.

The kernel names the function a sleeping thread waits in (/proc/PID/wchan). An event loop that
idles or awaits is in its selector; one that sleeps, waits for a lock or reads a socket
elsewhere holds up every other request of its worker.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

INTERVAL_S = 0.005
SELECTOR = frozenset({"ep_poll", "do_epoll_wait"})
RUNNING = "running"


@dataclass(frozen=True)
class Waits:
    """How often each process's main thread was seen where: wait channel -> samples, by PID."""

    by_pid: dict[int, Counter[str]]

    @property
    def total(self) -> Counter[str]:
        """Samples of all processes together."""
        return sum(self.by_pid.values(), Counter())

    @property
    def readable(self) -> bool:
        """Whether the kernel told us; it does not tell other users' processes."""
        return self.total.total() > 0

    @property
    def blocked_ratio(self) -> float:
        """The largest share of its samples that a process waited outside its selector."""
        counts = [self.blocked(pid) for pid in self.by_pid]
        return max((waited / seen for waited, seen in counts if seen), default=0.0)

    def blocked(self, pid: int) -> tuple[int, int]:
        """(samples in which the thread waited outside its selector, all samples) of a process."""
        seen = self.by_pid.get(pid, Counter())
        inside = sum(seen[name] for name in SELECTOR) + seen[RUNNING]
        return seen.total() - inside, seen.total()

    def where(self, pid: int) -> str | None:
        """The wait channel, selectors aside, that a process was most often seen in."""
        for name, _ in self.by_pid.get(pid, Counter()).most_common():
            if name not in SELECTOR and name != RUNNING:
                return name
        return None


def observe(pid: int) -> str | None:
    """Where the main thread of `pid` is now; None if it is gone."""
    folder = Path(f"/proc/{pid}/task/{pid}")
    try:
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        if state == "R":
            return RUNNING
        channel = (folder / "wchan").read_text().strip()
    except (OSError, IndexError):
        return None
    # A thread that runs, or is just being woken, has no channel.
    return RUNNING if channel in {"", "0"} else channel


def may_see(pid: int) -> bool:
    """Whether the kernel tells us where `pid` waits: as it tells us its descriptors.

    Both need the same right (ptrace(2), PTRACE_MODE_READ_FSCREDS); without it every wait
    channel reads 0, as a running thread's does.
    """
    try:
        os.scandir(f"/proc/{pid}/fd").close()
    except OSError:
        return False
    return True


@dataclass
class Sampler:
    """Samples in a thread of its own, inside a `with`; `result()` after or within."""

    pids: tuple[int, ...]
    _seen: dict[int, Counter[str]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._seen = {pid: Counter() for pid in self.pids if may_see(pid)}
        self._thread = threading.Thread(target=self._run, name="waits", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            for pid, seen in self._seen.items():
                if (where := observe(pid)) is not None:
                    seen[where] += 1

    def result(self) -> Waits:
        """What was seen so far."""
        return Waits({pid: Counter(seen) for pid, seen in self._seen.items()})
