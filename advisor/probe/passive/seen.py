"""What an observation saw, as plain data: the server's windows and the requests in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.probe.analysis.observation import is_event_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Server
    from advisor.probe.analysis.observation import Load
    from advisor.probe.passive.entry import Entry
    from advisor.probe.sample.memory import MemorySample


@dataclass(frozen=True)
class Source:
    """Where the requests were counted: a log's path or a stub_status URL; `format` in words."""

    where: str
    kind: Literal["access-log", "stub-status"]
    format: str | None


@dataclass(frozen=True)
class Room:
    """What the server may use: `cores` by its own limits, `host_cores` of the machine.

    `shares_limit` says that this process lives under the same limit.
    """

    cores: float
    host_cores: int
    shares_limit: bool


@dataclass(frozen=True)
class Seen:
    """The windows in which everything was read. `load` has no connections: nothing was sent.

    In its windows `latency_sum` is the time the app took by the proxy's clock, where
    `timed`. `blocked_s` holds the seconds a window that event loops waited outside their
    selector, over all workers; `entries` a sample of `requests`; `changed` is what happened to
    the server under way.
    """

    server: Server | None
    load: Load
    room: Room
    source: Source
    entries: Sequence[Entry] = ()
    blocked_s: Sequence[float] | None = None
    timed: bool = False
    by_proxy: int = 0
    unread: int = 0
    changed: str | None = None
    lost: str | None = None
    grown: Sequence[MemorySample] = ()

    @property
    def requests(self) -> int:
        """Requests that ended in the windows, well or not."""
        return self.load.completed + self.load.errors

    @property
    def rate_rps(self) -> float:
        """Requests a second."""
        return self.requests / self.load.seconds if self.load.seconds else 0.0

    @property
    def event_loops(self) -> Server | None:
        """The server, where its workers are event loops."""
        server = self.server
        return server if server and is_event_loop(server.worker_class) else None

    @property
    def cpu_left(self) -> float:
        """Cores the server could have used: its limit, less what others took."""
        load, room = self.load, self.room
        machine = room.host_cores - load.client_cores - load.others_cores - load.steal_cores
        limit = room.cores - (load.client_cores if room.shares_limit else 0.0)
        return max(0.0, min(machine, limit))

    @property
    def busiest(self) -> tuple[int | None, float]:
        """The worker that was busy most, and how much of the time: computing, or blocked."""
        server = self.server
        if server is None or not server.workers:
            return None, 0.0
        busy = {w.pid: self.load.cores_of(w.pid) + self.blocked(w.pid) for w in server.workers}
        pid = max(busy, key=lambda each: busy[each])
        return pid, busy[pid]

    def blocked(self, pid: int) -> float:
        """The share of the time that a worker's event loop waited outside its selector."""
        if self.event_loops is None or self.load.waits is None:
            return 0.0
        blocked, samples = self.load.waits.blocked(pid)
        return blocked / samples if samples else 0.0

    @property
    def slots_ratio(self) -> float | None:
        """Requests at the app at once (Little's law) over its slots; None where it has none.

        Over 1, requests queued inside the app for a worker.
        """
        server = self.server
        if server is None or self.event_loops or not self.timed:
            return None
        slots = len(server.workers) * (server.threads or 0)
        if not slots or not self.load.seconds:
            return None
        inside = sum(w.latency_sum for w in self.load.windows) / self.load.seconds
        return inside / slots
