"""Whether the CPU limits an app: the generator's, all that is left, a quota's, one core each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.probe.analysis.demand import cpu_per_request, wait_per_request
from advisor.probe.analysis.limiters.saying import limiter, unknown

if TYPE_CHECKING:
    from advisor.documents import Limiter, Scalar
    from advisor.probe.analysis.observation import Load, Observation

SATURATED = 0.9
# Of the CPU left: what workers get that are always ready to run and are placed badly. Measured
# with two sync workers and the generator on two cores: 0.86 to 0.93, and a third worker gave 2
# to 4 % more.
SCATTERED = 0.8
# Of the CPU left, and of a request's CPU: what workers get that wait for nobody but the client, and
# how short that a lone request's wait must be. A sync worker is held until its client has closed
# the connection: beside a generator on the same two cores two of them got 0.72 to 0.85.
HANDED_OVER, NO_WAIT = 0.65, 0.2
CLIENT_CORE = 0.7
# Of its one core: a worker that is busy all the time.
FULL = 0.85


def client(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """The generator is what ran out."""
    evidence["client_cpu_cores"] = round(top.client_cores, 3)
    if top.client_cores < CLIENT_CORE or top.server_cores >= SATURATED * seen.cpu_left(top):
        return None
    why = f"the load generator itself used {top.client_cores:.2f} of its one core"
    return limiter("client", top.client_cores, why, evidence)


def cpu(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """The workers use what CPU is left to them, where the connections lay evenly.

    Or all of them run or wait for a core nearly all the time, and ask for more than is left: what
    idles then is a core whose neighbour has the queue, and one more worker would not find it.
    """
    top = max((top, *seen.visits, *seen.steps), key=lambda load: load.server_cores)
    left = seen.cpu_left(top)
    if top.throttled_s:
        evidence["throttled_s"] = round(top.throttled_s, 3)
    asked = top.server_cores + top.queued_cores
    workers = len(seen.server.workers) if seen.server else 0
    all_asked = workers > 0 and asked >= SATURATED * workers and asked >= left
    least = SCATTERED if all_asked else SATURATED
    if not left or top.server_cores < least * left:
        return None
    evidence |= {
        "server_cpu_cores": round(top.server_cores, 3),
        "cpu_left_cores": round(left, 3),
        "connections": top.connections,
    }
    why = (
        f"the workers used {top.server_cores:.2f} of the {left:.2f} cores left to them at "
        f"{top.connections} connections"
    )
    if top.server_cores < SATURATED * left:
        evidence["run_queue_cores"] = round(top.queued_cores, 3)
        why += (
            f", and waited for a core another {top.queued_cores:.2f} s a second: each of the "
            f"{workers} was ready to run {asked / workers:.0%} of the time"
        )
    # Certain when all that was left is used, and the rate had stopped growing.
    return limiter(
        "cpu", min(1.0, top.server_cores / left) * (0.95 if seen.plateau else 0.75), why, evidence
    )


def throttled(_seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A CPU quota held the server back, below its average."""
    share = top.throttled_s / max(top.seconds, 1e-9)
    if share < 0.05:
        return None
    return unknown(
        f"a CPU quota held the server back for {top.throttled_s:.1f} s, though it used less "
        "than the quota on average",
        evidence,
    )


def computing(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """Requests wait for nothing but a core, and there are workers enough for those that are left.

    What idles then is between requests: a worker waits for the client, which is there at once
    where a proxy stands in front. With two connections for each worker more would change nothing,
    whether or not there was time to see that.
    """
    top = max((top, *seen.visits), key=lambda load: load.server_cores)
    left, server = seen.cpu_left(top), seen.server
    if server is None or len(server.workers) < left:
        return None
    is_full = seen.plateau or top.connections >= 2 * len(server.workers)
    if not is_full or any(top.cores_of(worker.pid) >= FULL for worker in server.workers):
        return None
    alone = seen.steps[0]
    used, waited = cpu_per_request(seen, alone), wait_per_request(seen, alone)
    if used is None or waited is None or waited.value > NO_WAIT * used.value:
        return None
    if top.server_cores < HANDED_OVER * left:
        return None
    evidence["lone_wait_s"] = round(max(0.0, waited.value), 6)
    why = (
        f"a lone request waits for nothing but its {used.value * 1e3:.2g} ms of CPU, and the "
        f"{len(server.workers)} workers used {top.server_cores:.2f} of the {left:.2f} cores left "
        "to them: what idles is between requests, while a worker waits for the client"
    )
    sure = 0.95 if seen.plateau else 0.75
    return limiter("cpu", sure * top.server_cores / left, why, evidence)


def one_core_each(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A Python process computes on one core at a time: its interpreter lock is a slot."""
    if seen.server is None or not seen.server.workers:
        return None
    used = {worker.pid: top.cores_of(worker.pid) for worker in seen.server.workers}
    full = [pid for pid, cores in used.items() if cores >= FULL]
    if not full:
        return None
    count = len(used)
    evidence |= {"busy_workers": len(full), "workers": count}
    if len(full) == count:
        many = "its one worker" if count == 1 else f"each of the {count} workers"
        why = (
            f"{many} fills one core and {seen.cpu_left(top) - top.server_cores:.1f} more are "
            "left: more workers would use them"
        )
        return limiter("concurrency", 0.9, why, evidence)
    why = (
        f"{len(full)} of {count} workers are busy all the time while others idle: kept-alive "
        "connections pin the work to them"
    )
    return limiter("concurrency", 0.7, why, evidence)
