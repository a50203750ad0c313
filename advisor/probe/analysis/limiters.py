"""What can limit an app, one test each: what it looks at, and what it says. Pure.

Each looks at the highest step, adds what it saw to the evidence, and names its limiter or None.
`TESTS` holds them in the order in which they exclude each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Limiter, Scalar, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.probe.analysis.observation import Load, Observation

SATURATED = 0.9
# Of the CPU left: what workers get that are always ready to run and are placed badly. Measured
# with two sync workers and the generator on two cores: 0.86 to 0.93, and a third worker gave 2
# to 4 % more.
SCATTERED = 0.8
CLIENT_CORE = 0.7
THREAD_TOKENS = 40  # AnyIO's default limiter, per worker


def unknown(why: str, evidence: dict[str, Scalar]) -> Limiter:
    """No verdict, and why."""
    return Limiter(verdict="unknown", confidence=0.0, why=why, evidence=evidence)


def limiter(verdict: Verdict, confidence: float, why: str, evidence: dict[str, Scalar]) -> Limiter:
    """A verdict; its confidence is kept within 0 and 0.99."""
    return Limiter(
        verdict=verdict,
        confidence=round(min(0.99, max(0.0, confidence)), 2),
        why=why,
        evidence=evidence,
    )


def client(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """The generator is what ran out."""
    evidence["client_cpu_cores"] = round(top.client_cores, 3)
    if top.client_cores < CLIENT_CORE or top.server_cores >= SATURATED * seen.cpu_left(top):
        return None
    why = f"the load generator itself used {top.client_cores:.2f} of its one core"
    return limiter("client", top.client_cores, why, evidence)


def unseen(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A black box: rates and response times name no limiter."""
    if seen.server is not None:
        return None
    how = "the rate stopped growing" if seen.plateau else f"the rate still grew ({seen.stopped})"
    why = (
        f"{how} at {top.connections} connections; the server's processes cannot be seen from "
        "here, so not what limits them"
    )
    del evidence["server_cpu_cores"], evidence["cpu_left_cores"]
    return unknown(why, evidence)


def cpu(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """The workers use what CPU is left to them, where the connections lay evenly.

    Or all of them run or wait for a core nearly all the time, and ask for more than is left: what
    idles then is a core whose neighbour has the queue, and one more worker would not find it.
    """
    top = max((top, *seen.visits), key=lambda load: load.server_cores)
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


def blocked(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """An event loop whose thread waits outside its selector most of the time it could work."""
    server = seen.event_loops
    if server is None or top.waits is None or not top.waits.readable:
        return None
    worst = max(
        (w.pid for w in server.workers), key=lambda pid: _blocked_share(top, pid), default=0
    )
    blocked, samples = top.waits.blocked(worst)
    low = top.blocked_low(worst)
    if low < 0.2 or low + top.cores_of(worst) < 0.7:
        return None
    where = top.waits.where(worst)
    evidence |= {"blocked_ratio": round(blocked / samples, 3), "wait_channel": where}
    why = (
        f"the event loop's thread spent {blocked / samples:.0%} of the time waiting in {where}, "
        "outside its selector: meanwhile its worker serves nobody else"
    )
    sure = 0.5 + low / 2
    if seen.stacks and (place := seen.stacks.place):
        evidence["where"] = str(place.own or place.innermost)
    if (canary := seen.canary) is not None:
        evidence |= {
            "canary": "serialised" if canary.serialised else "concurrent",
            "canary_alone_s": round(canary.alone_s, 6),
            "canary_beside_s": round(canary.beside_s, 6),
        }
        if canary.serialised:
            times = canary.beside_s / canary.alone_s
            why += (
                f"; beside one request, another to the same worker took {times:.1f} times as long"
            )
        sure = sure + (1 - sure) / 2 if canary.serialised else sure / 2
    return limiter("event-loop-blocked", sure, why, evidence)


def _blocked_share(top: Load, pid: int) -> float:
    if top.waits is None:
        return 0.0
    blocked, samples = top.waits.blocked(pid)
    return blocked / samples if samples else 0.0


def growing(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """No plateau, no limiter."""
    if seen.plateau:
        return None
    return unknown(
        f"the rate was still growing at {top.connections} connections ({seen.stopped})", evidence
    )


def one_core_each(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A Python process computes on one core at a time: its interpreter lock is a slot."""
    if seen.server is None or not seen.server.workers:
        return None
    used = {worker.pid: top.cores_of(worker.pid) for worker in seen.server.workers}
    full = [pid for pid, cores in used.items() if cores >= 0.85]
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


def slots(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """All workers x threads were busy, each for about a lone request's time (Little's law)."""
    server = seen.server
    if server is None or seen.event_loops or not server.workers or not server.threads:
        return None
    slots = len(server.workers) * server.threads
    alone = seen.steps[0].response_s
    in_service = top.rps * alone
    evidence |= {"slots": slots, "in_service": round(in_service, 1)}
    if in_service >= 0.75 * slots:
        why = (
            f"all {slots} slots ({len(server.workers)} workers x {server.threads} threads) were "
            f"busy, each for about the {alone * 1e3:.0f} ms that a lone request takes"
        )
        return limiter("concurrency", min(0.95, in_service / slots), why, evidence)
    if top.connections >= 2 * slots:
        # Either the slots were unevenly filled, or each request took longer than alone.
        return _waiting_downstream(seen, top, evidence)
    return None


def tokens(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """AnyIO runs `def` routes on 40 threads a worker unless the app says otherwise."""
    server = seen.event_loops
    if server is None or not server.workers:
        return None
    in_service = top.rps * seen.steps[0].response_s / len(server.workers)
    if not 0.8 * THREAD_TOKENS <= in_service <= 1.1 * THREAD_TOKENS:
        return None
    evidence |= {"in_service_per_worker": round(in_service, 1), "tokens": THREAD_TOKENS}
    why = (
        f"about {THREAD_TOKENS} requests a worker are in service at once, AnyIO's default number "
        "of threads for def routes"
    )
    return limiter("concurrency", 0.8, why, evidence)


def hidden(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A blocked loop and a full pool look the same from the client's side."""
    if seen.event_loops is None or (top.waits is not None and top.waits.readable):
        return None
    return unknown(
        f"the rate stopped growing at {top.connections} connections with CPU left, and what the "
        "event loop waits for is hidden from this user",
        evidence,
    )


def pool(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """A constant number in service, below the connections: a pool here, or a queue elsewhere.

    The workers' own connections to others tell: a pool keeps them at its size, a slow
    downstream is given as many as there are requests.
    """
    server = seen.event_loops
    if server is None or top.downstream is None:
        return None
    in_service = top.rps * seen.steps[0].response_s
    if in_service > 0.6 * top.connections:
        return None
    if top.downstream >= 0.8 * top.connections:
        return _waiting_downstream(seen, top, evidence)
    evidence |= {
        "downstream_connections": top.downstream,
        "in_service_per_worker": round(in_service / max(1, len(server.workers)), 1),
    }
    why = (
        f"{in_service:.0f} requests are in service at once, whatever the load, over "
        f"{top.downstream} connections to others: a pool or limit inside the app is full"
    )
    return limiter("concurrency", 0.7, why, evidence)


def _waiting_downstream(
    seen: Observation, top: Load, evidence: dict[str, Scalar]
) -> Limiter | None:
    alone = seen.steps[0].response_s
    if not top.downstream or top.response_s < 1.3 * alone:
        return None
    evidence |= {"downstream_connections": top.downstream}
    why = (
        f"{top.downstream} connections to others are open, CPU is left, and requests take "
        f"{top.response_s / alone:.1f} times as long as alone: what they call is the limit"
    )
    return limiter("downstream", 0.7, why, evidence)


TESTS: tuple[Callable[[Observation, Load, dict[str, Scalar]], Limiter | None], ...] = (
    client,
    unseen,
    cpu,
    throttled,
    blocked,
    growing,
    one_core_each,
    slots,
    tokens,
    hidden,
    pool,
)
