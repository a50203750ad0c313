"""Whether waiting limits an app: a blocked loop, slots, tokens, a pool, a slow downstream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.probe.analysis.limiters.saying import limiter, unknown

if TYPE_CHECKING:
    from advisor.documents import Limiter, Scalar, Server
    from advisor.probe.analysis.observation import Load, Observation

THREAD_TOKENS = 40  # AnyIO's default limiter, per worker
# Of the tokens, on average, where nothing tells that threads do the work. Where they do, requests
# hold them for longer than a lone one: they compute in turns, and 40 gave what 28 to 34 would.
HELD, HELD_IN_THREADS = 0.8, 0.65
# Of the CPU, in other threads than the main one: routes run there.
IN_THREADS = 0.3
# The busiest worker's share of the work over an even one, from which connections fell unevenly.
UNEVEN = 1.2
TAKEN = 0.75  # of the slots, on average: then all are, but for the time between two requests


@dataclass(frozen=True)
class Outside:
    """That an event loop's thread waits outside its selector: in words, and how sure that is."""

    why: str
    sure: float


def waits_outside(load: Load, pid: int, evidence: dict[str, Scalar]) -> Outside | None:
    """Whether a loop's thread waits outside its selector most of the time it could work."""
    low = load.blocked_low(pid)
    if load.waits is None or low < 0.2 or low + load.cores_of(pid) < 0.7:
        return None
    blocked, samples = load.waits.blocked(pid)
    where = load.waits.where(pid)
    evidence |= {"blocked_ratio": round(blocked / samples, 3), "wait_channel": where}
    why = (
        f"the event loop's thread spent {blocked / samples:.0%} of the time waiting in {where}, "
        "outside its selector: meanwhile its worker serves nobody else"
    )
    return Outside(why, 0.5 + low / 2)


def blocked(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """An event loop whose thread waits outside its selector most of the time it could work."""
    server = seen.event_loops
    if server is None or top.waits is None or not top.waits.readable:
        return None
    worst = max(
        (w.pid for w in server.workers), key=lambda pid: _blocked_share(top, pid), default=0
    )
    found = waits_outside(top, worst, evidence)
    if found is None:
        return None
    why, sure = found.why, found.sure
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


def slots(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """All workers x threads were busy, each for about a lone request's time (Little's law)."""
    server = seen.server
    if server is None or seen.event_loops or not server.workers or not server.threads:
        return None
    slots = len(server.workers) * server.threads
    alone = seen.steps[0].response_s
    in_service = top.rps * alone
    evidence |= {"slots": slots, "in_service": round(in_service, 1)}
    if in_service >= TAKEN * slots:
        why = (
            f"all {slots} slots ({len(server.workers)} workers x {server.threads} threads) were "
            f"busy, each for about the {alone * 1e3:.0f} ms that a lone request takes"
        )
        return limiter("concurrency", min(0.95, in_service / slots), why, evidence)
    if server.threads > 1 and (full := _full(server, top, in_service)):
        evidence |= {"busy_workers": full, "workers": len(server.workers)}
        why = (
            f"all {server.threads} threads of {full} of {len(server.workers)} workers were busy "
            "while others idled: kept-alive connections pin the work to them"
        )
        return limiter("concurrency", 0.7, why, evidence)
    if top.connections >= 2 * slots:
        # Either the slots were unevenly filled, or each request took longer than alone.
        return _waiting_downstream(seen, top, evidence)
    return None


def _in_busiest(server: Server, top: Load, in_service: float) -> float:
    """Requests in service in one worker: an even share, or the busiest's if they fell unevenly."""
    even = 1 / max(1, len(server.workers))
    most = max(_shares(server, top), default=0.0)
    return in_service * (most if most >= UNEVEN * even else even)


def _full(server: Server, top: Load, in_service: float) -> int:
    """Workers whose threads were all taken."""
    least = TAKEN * (server.threads or 1)
    return sum(in_service * share >= least for share in _shares(server, top))


def _shares(server: Server, top: Load) -> list[float]:
    """Each worker's share of the requests, by that of the CPU; none where none was used."""
    if not top.server_cores:
        return []
    return [top.cores_of(each.pid) / top.server_cores for each in server.workers]


def tokens(seen: Observation, top: Load, evidence: dict[str, Scalar]) -> Limiter | None:
    """AnyIO runs `def` routes on 40 threads a worker unless the app says otherwise."""
    server = seen.event_loops
    if server is None or not server.workers:
        return None
    in_service = _in_busiest(server, top, top.rps * seen.steps[0].response_s)
    in_threads = top.pool_cores >= IN_THREADS * top.server_cores > 0
    least = HELD_IN_THREADS if in_threads else HELD
    if not least * THREAD_TOKENS <= in_service <= 1.1 * THREAD_TOKENS:
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
        "in_service_per_worker": round(_in_busiest(server, top, in_service), 1),
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
