"""What a probe saw, as plain data: windows, steps, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from advisor.documents import Server
    from advisor.probe.sample.clocks import Reading
    from advisor.probe.sample.waits import Waits


EVENT_LOOPS = ("uvicorn", "asgi", "hypercorn", "granian")


def is_event_loop(worker_class: str | None) -> bool:
    """Whether requests share one thread that must not wait outside its selector."""
    return bool(worker_class) and any(part in str(worker_class).lower() for part in EVENT_LOOPS)


@dataclass(frozen=True)
class Window:
    """A stretch of steady load (or of idleness): all in seconds and counts over `seconds`."""

    seconds: float
    completed: int
    errors: int
    latency_sum: float
    server_cpu: dict[int, float]
    client_cpu: float
    others_cpu: float
    steal: float
    run_queue_wait: float

    @property
    def server_cpu_s(self) -> float:
        """CPU seconds of all the server's processes."""
        return sum(self.server_cpu.values())


def window(before: Reading, after: Reading, latencies: Sequence[float], errors: int) -> Window:
    """What happened between two readings of the clocks."""
    server = {pid: used - before.server.get(pid, used) for pid, used in after.server.items()}
    client = after.client - before.client
    return Window(
        seconds=after.at - before.at,
        completed=len(latencies),
        errors=errors,
        latency_sum=sum(latencies),
        server_cpu=server,
        client_cpu=client,
        others_cpu=max(0.0, after.busy - before.busy - sum(server.values()) - client),
        steal=after.steal - before.steal,
        run_queue_wait=max(0.0, after.waiting - before.waiting),
    )


@dataclass(frozen=True)
class Load:
    """One step: windows at a fixed number of connections, and every latency in seconds."""

    connections: int
    windows: tuple[Window, ...]
    latencies: tuple[float, ...]
    waits: Waits | None = None
    downstream: int | None = None
    throttled_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Length of all windows together."""
        return sum(w.seconds for w in self.windows)

    @property
    def completed(self) -> int:
        """Good answers."""
        return sum(w.completed for w in self.windows)

    @property
    def errors(self) -> int:
        """Requests without a good answer."""
        return sum(w.errors for w in self.windows)

    @property
    def error_ratio(self) -> float:
        """Errors among all that ended."""
        return self.errors / max(1, self.errors + self.completed)

    @property
    def rps(self) -> float:
        """Good answers a second."""
        return self.completed / self.seconds if self.seconds else 0.0

    @property
    def response_s(self) -> float:
        """Mean response time; infinite without an answer."""
        total = sum(w.latency_sum for w in self.windows)
        return total / self.completed if self.completed else float("inf")

    @property
    def server_cores(self) -> float:
        """CPU seconds a second of the server's processes."""
        return sum(w.server_cpu_s for w in self.windows) / self.seconds if self.seconds else 0.0

    @property
    def client_cores(self) -> float:
        """CPU seconds a second of the load generator."""
        return sum(w.client_cpu for w in self.windows) / self.seconds if self.seconds else 0.0

    @property
    def others_cores(self) -> float:
        """CPU seconds a second of everything else on the host."""
        return sum(w.others_cpu for w in self.windows) / self.seconds if self.seconds else 0.0

    @property
    def steal_cores(self) -> float:
        """CPU seconds a second that the hypervisor gave to other guests."""
        return sum(w.steal for w in self.windows) / self.seconds if self.seconds else 0.0

    def joined_to(self, before: Load) -> Load:
        """This step and an earlier one at the same connections, as one."""
        return replace(
            self,
            windows=before.windows + self.windows,
            latencies=before.latencies + self.latencies,
            throttled_s=before.throttled_s + self.throttled_s,
        )

    def cores_of(self, pid: int) -> float:
        """CPU seconds a second of one process."""
        used = sum(w.server_cpu.get(pid, 0.0) for w in self.windows)
        return used / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Observation:
    """Everything a probe saw. `steps` are in the order of their connections, 1 and 2 first.

    `knee_sought` is why no knee was looked for, where it was not. `cores` is what the server
    may use, `host_cores` what the machine has; `shares_limit` says that the generator lives
    under the server's own CPU limit.
    """

    server: Server | None
    steps: tuple[Load, ...]
    idle_cores: float
    cores: float
    host_cores: int
    shares_limit: bool
    plateau: bool
    stopped: str
    no_knee: str | None = None
    changed: str | None = None
    knee: Load | None = None
    client_overhead_s: float = 0.0

    @property
    def event_loops(self) -> Server | None:
        """The server, where its workers are event loops; None where they are not, or unknown."""
        server = self.server
        return server if server and is_event_loop(server.worker_class) else None

    def cpu_left(self, load: Load) -> float:
        """Cores the server could have used during a step: its limit, less what others took."""
        machine = self.host_cores - load.client_cores - load.others_cores - load.steal_cores
        limit = self.cores - (load.client_cores if self.shares_limit else 0.0)
        return max(0.0, min(machine, limit))
