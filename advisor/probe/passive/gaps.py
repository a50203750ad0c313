"""What watching could not tell, why, and what would. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.probe.passive.formats import BEST_FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents import Estimate, Limiter
    from advisor.probe.passive.seen import Seen

TRUSTED_WIDTH = 0.1
# Below it a request mostly finds its worker asleep, and waking up is most of its cost.
TRICKLE = 0.3
# Above it a request waits for its worker about as long as it takes alone (rho / (1 - rho)).
QUEUES_FROM = 0.5
MAX_UNREAD = 0.01
PROBE = "probe it: `advisor probe URL`"
LOG_TIMES = f"let nginx log times: {BEST_FORMAT}"


def gaps(
    seen: Seen,
    *,
    demand: Estimate | None,
    wait: Estimate | None,
    blocked: Estimate | None,
    limiter: Limiter,
) -> Iterator[Unknown]:
    """Every conclusion that the observation does not carry."""
    yield Unknown(
        what="throughput.knee_rps",
        why="nothing was sent, so nothing drove the app to its limit",
        remedy=PROBE,
    )
    yield Unknown(what="HTTP and caching facts", why="no request was sent", remedy=PROBE)
    if seen.server is None:
        yield Unknown(
            what="cpu_per_request_s, waiting, the limiter, the workers and their memory",
            why="the server's processes are not known",
            remedy="run on the server's host as root, or give --pid",
        )
    else:
        yield from _demand(seen, demand)
        yield from _waiting(seen, wait)
        if seen.event_loops and blocked is None:
            yield Unknown(
                what="blocked_per_request_s",
                why="what the workers wait for is hidden from this user",
                remedy="run as root, or as the server's user",
            )
        if limiter.verdict == "unknown":
            yield Unknown(what="limiter", why=limiter.why, remedy=f"observe at peak, or {PROBE}")
    yield from _log(seen)


def _demand(seen: Seen, demand: Estimate | None) -> Iterator[Unknown]:
    if demand is None or not demand.value:
        yield Unknown(
            what="cpu_per_request_s", why="too few requests came by", remedy="observe for longer"
        )
        return
    width = max(demand.high - demand.value, demand.value - demand.low) / demand.value
    if width > TRUSTED_WIDTH:
        yield Unknown(
            what="cpu_per_request_s within 10 %",
            why=f"the interval is +-{width:.0%}: few requests, or very different ones",
            remedy="observe for longer",
        )
    if seen.busiest[1] < TRICKLE:
        yield Unknown(
            what="cpu_per_request_s under load",
            why=f"at {seen.rate_rps:.3g} requests/s workers sleep between requests, and waking "
            "up costs CPU that a busy worker saves",
            remedy=f"observe at peak, or {PROBE}",
        )


def _waiting(seen: Seen, wait: Estimate | None) -> Iterator[Unknown]:
    if wait is not None:
        return
    if seen.timed:
        yield Unknown(
            what="wait_per_request_s",
            why="requests queued inside the app, which its response times cannot tell from waiting",
            remedy=f"observe when it is quieter, or {PROBE}",
        )
        return
    request_times = [e.request_s for e in seen.entries if e.request_s is not None]
    bound = (
        f"; it is at most {sum(request_times) / len(request_times):.3g} s, the mean time of a "
        "request with the client's network in it"
        if request_times
        else ""
    )
    yield Unknown(
        what="wait_per_request_s",
        why=f"how long the app itself took is not logged{bound}",
        remedy=f"{LOG_TIMES}; or {PROBE}",
    )


def _log(seen: Seen) -> Iterator[Unknown]:
    source = seen.source
    if source.kind == "stub-status":
        yield Unknown(
            what="routes, latencies and errors",
            why="stub_status only counts, over all sites of this nginx and what it answers itself",
            remedy=f"give --access-log; {LOG_TIMES}",
        )
        return
    if all(entry.proxied is None for entry in seen.entries):
        yield Unknown(
            what="which requests the app was asked",
            why="the log does not tell them from those that the proxy answered itself",
            remedy=f"give the log of what is proxied only, or {LOG_TIMES}",
        )
    others = sum(entry.method not in {"GET", "HEAD"} for entry in seen.entries)
    if others:
        yield Unknown(
            what="routes of other methods than GET and HEAD",
            why=f"{others / len(seen.entries):.0%} of the requests; what a probe may not send is "
            "in cpu_per_request_s and in no route",
            remedy="read the app's own metrics for them",
        )
    if seen.unread > MAX_UNREAD * (seen.requests + seen.by_proxy):
        yield Unknown(
            what=f"{seen.unread} lines of the log",
            why="they are not of the log's format",
            remedy="give its log_format text as --log-format",
        )
    if seen.lost:
        yield Unknown(
            what="the log after it was rotated",
            why=seen.lost,
            remedy="run as root, or as a user of the log's group (adm on Debian)",
        )
