"""What a probe saw, as plain data: windows, steps, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from advisor.probe.analysis import statistics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.documents import Server
    from advisor.probe.sample.canary import Canary
    from advisor.probe.sample.carried import DiskSample
    from advisor.probe.sample.clocks import Reading
    from advisor.probe.sample.memory import MemorySample
    from advisor.probe.sample.stacks import Stacks
    from advisor.probe.sample.waits import Waits


BUSY, LIMITED = 0.93, 0.7
FUTEX = "futex"  # futex_wait_queue, futex_do_wait, ...: as the kernel's releases name it
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
    main_cpu: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def server_cpu_s(self) -> float:
        """CPU seconds of all the server's processes."""
        return sum(self.server_cpu.values())

    @property
    def pool_cpu_s(self) -> float | None:
        """CPU seconds of all threads but the main ones; None where they are not told apart."""
        return None if self.main_cpu is None else max(0.0, self.server_cpu_s - self.main_cpu)


def window(
    before: Reading,
    after: Reading,
    latencies: Sequence[float],
    errors: int,
    *,
    moved: tuple[int, int] = (0, 0),
) -> Window:
    """What happened between two readings of the clocks; `moved` is bytes in and out."""
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
        main_cpu=_grown(before.main, after.main) if len(after.main) == len(after.server) else None,
        bytes_in=moved[0],
        bytes_out=moved[1],
    )


def _grown(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    return sum(used - before.get(pid, used) for pid, used in after.items())


@dataclass(frozen=True)
class Load:
    """One step: windows at a fixed number of connections, and every latency in seconds.

    `routes` holds the index of the route of each latency.
    """

    connections: int
    windows: tuple[Window, ...]
    latencies: tuple[float, ...]
    routes: tuple[int, ...] = ()
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
    def queued_cores(self) -> float:
        """Seconds a second that the server's threads could have run, and waited for a core."""
        return sum(w.run_queue_wait for w in self.windows) / self.seconds if self.seconds else 0.0

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

    def joined_by(self, later: Sequence[Load]) -> Load:
        """This step and later ones at the same connections, as one."""
        loads = (self, *later)
        held = [load.downstream for load in loads]
        return replace(
            self,
            windows=tuple(w for load in loads for w in load.windows),
            latencies=tuple(t for load in loads for t in load.latencies),
            routes=tuple(r for load in loads for r in load.routes),
            waits=next((load.waits for load in loads if load.waits), None),
            downstream=max((n for n in held if n is not None), default=None),
            throttled_s=sum(load.throttled_s for load in loads),
        )

    def queue(self, alone_s: float) -> float:
        """Requests that wait inside the server: those in flight less those in service.

        Little's law: X requests a second that each take `alone_s` are X * alone_s in service.
        """
        return max(0.0, self.connections - self.rps * alone_s)

    def cores_of(self, pid: int) -> float:
        """CPU seconds a second of one process."""
        used = sum(w.server_cpu.get(pid, 0.0) for w in self.windows)
        return used / self.seconds if self.seconds else 0.0

    @property
    def pool_cores(self) -> float:
        """CPU seconds a second of all threads but the main ones; none where that is hidden."""
        known = [w for w in self.windows if w.pool_cpu_s is not None]
        seconds = sum(w.seconds for w in known)
        return sum(w.pool_cpu_s or 0.0 for w in known) / seconds if seconds else 0.0

    def blocked_low(self, pid: int) -> float:
        """At least this share of the time a process's main thread blocked itself, by samples.

        On a futex, while other threads of its process run, it waits for the interpreter's lock,
        which they hold: 40 threads that took 1 ms of CPU a request kept a loop from running for a
        third of the time.
        """
        if self.waits is None:
            return 0.0
        blocked, samples = self.waits.blocked(pid)
        low, _ = statistics.proportion(blocked, samples)
        at_lock = str(self.waits.where(pid)).startswith(FUTEX)
        return max(0.0, low - self.pool_cores / len(self.waits.by_pid)) if at_lock else low


@dataclass(frozen=True)
class OpenLoad:
    """Poisson arrivals: the rate, its share of the knee's, and how well the generator kept time.

    `offered` requests fell due, `late` of them were sent more than 1 ms after.
    """

    rate_rps: float
    utilisation: float
    load: Load
    offered: int
    late: int


@dataclass(frozen=True)
class Observation:
    """Everything a probe saw. `steps` are in the order of their connections, 1 and 2 first.

    `knee` is the step at which the rate no longer grew, `visits` are the loads at the fewest
    connections that gave it, each after a pause and over fresh ones; `routes` every route of a
    mix alone on two connections.

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
    visits: tuple[Load, ...] = ()
    open_load: OpenLoad | None = None
    routes: Mapping[str, Load] = field(default_factory=dict)
    canary: Canary | None = None
    stacks: Stacks | None = None
    held: tuple[MemorySample, ...] = ()
    stored: tuple[DiskSample, ...] = ()

    @property
    def event_loops(self) -> Server | None:
        """The server, where its workers are event loops; None where they are not, or unknown."""
        server = self.server
        return server if server and is_event_loop(server.worker_class) else None

    @property
    def busiest(self) -> tuple[Load, ...]:
        """The visits in which the workers were about as busy as in any; all, where none was busy.

        In the others some idled because of where the connections happened to land. Where the CPU
        is no limit there is nothing to choose by: the dearest visit would only be the unluckiest.
        """
        top = max(self.visits, key=lambda visit: visit.server_cores, default=None)
        if top is None or top.server_cores < LIMITED * self.most_cores(top):
            return self.visits
        return tuple(v for v in self.visits if v.server_cores >= BUSY * top.server_cores)

    def most_cores(self, load: Load) -> float:
        """What the server could use at most: what is left, and one core a process (the GIL)."""
        left = self.cpu_left(load)
        return min(left, len(self.server.workers) or 1) if self.server else left

    @property
    def saturated(self) -> Load | None:
        """What stands for the app at its knee: the busiest visits, else the highest step."""
        if self.busiest:
            return self.busiest[0].joined_by(self.busiest[1:])
        return self.knee or (self.steps[-1] if self.steps else None)

    def cpu_left(self, load: Load) -> float:
        """Cores the server could have used during a step: its limit, less what others took."""
        machine = self.host_cores - load.client_cores - load.others_cores - load.steal_cores
        limit = self.cores - (load.client_cores if self.shares_limit else 0.0)
        return max(0.0, min(machine, limit))
