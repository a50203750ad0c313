"""What the main threads of the workers do, sampled from outside, 200 times a second.

The kernel names the function a sleeping thread waits in (/proc/PID/wchan). An event loop that
idles or awaits is in its selector; one that sleeps, waits for a lock or reads a socket
elsewhere holds up every other request of its worker.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

INTERVAL_S = 0.005
SELECTOR = frozenset({"ep_poll", "do_epoll_wait"})
RUNNING = "running"
HIDDEN = "hidden"


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
        """Whether the kernel told us; it does not tell other users' processes.

        A thread on its way to sleep has no channel yet either: some samples are always hidden.
        """
        total = self.total
        return total[HIDDEN] < 0.1 * total.total()

    def blocked(self, pid: int) -> tuple[int, int]:
        """(samples in which the thread waited outside its selector, all samples) of a process."""
        seen = self.by_pid.get(pid, Counter())
        inside = sum(seen[name] for name in SELECTOR) + seen[RUNNING] + seen[HIDDEN]
        return seen.total() - inside, seen.total()

    def where(self, pid: int) -> str | None:
        """The wait channel, selectors aside, that a process was most often seen in."""
        for name, _ in self.by_pid.get(pid, Counter()).most_common():
            if name not in SELECTOR and name not in {RUNNING, HIDDEN}:
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
    except PermissionError:
        return HIDDEN
    except (OSError, IndexError):
        return None
    if channel in {"", "0"}:
        # A runnable thread has no channel; one asleep has, unless it is hidden from us.
        return HIDDEN if state in "SD" else RUNNING
    return channel


@dataclass
class Sampler:
    """Samples in a thread of its own, inside a `with`; `result()` after or within."""

    pids: tuple[int, ...]
    _seen: dict[int, Counter[str]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._seen = {pid: Counter() for pid in self.pids}
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
