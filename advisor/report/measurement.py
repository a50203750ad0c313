"""A measurement as a table for people: what limits the app, what a request costs, what next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from advisor.quantities import count, duration, rate
from advisor.report.grid import NOTHING, grid, shortened
from advisor.report.layout import WIDTH, paragraph, printed, row, spread, unknowns
from advisor.report.routes import answers, routes
from advisor.report.workers import carried, workers

if TYPE_CHECKING:
    from advisor.documents import Estimate, Limiter, Measurement, Target
    from advisor.documents.measurement import Observed, OpenLoop

UNKNOWN = "unknown"
_LATE = 0.05
# What a verdict means for whoever has to act on it.
MEANING = {
    "cpu": "More cores, or less computing per request, would serve more.",
    "event-loop-blocked": "While a worker serves one request, all its others wait. The code has to "
    "change: an awaiting call, or a thread (a def route).",
    "concurrency": "More slots (workers, threads, a larger pool) would serve more.",
    "downstream": "The app waits for what it calls. More workers would not serve more.",
    "client": "The app can serve more than this probe can send.",
    "unknown": "",
}
_CANARY = {
    "serialised": "confirmed: a second request to the same worker waited for the first",
    "concurrent": "not confirmed: a second request to the same worker did not wait",
}


def table(measured: Measurement, *, saved_as: str | None = None) -> str:
    """What was measured, the limiter first, the next command last; at most 80 columns.

    Only a command and the URL are never broken. `saved_as` is the file it was written to.
    """
    watched = measured.mode == "observe"
    lines = [
        measured.target.url,
        paragraph(_who(measured.target)),
        *_watched(measured),
        "",
        *_limiter(measured.limiter),
        "",
        "One request",
        row("CPU per request", _quantity(measured.cpu_per_request_s)),
        *_threads(measured),
        row("waiting per request", _quantity(measured.wait_per_request_s)),
        *_blocked(measured),
        *carried(measured),
        "",
        "Requests that came" if watched else "Under load",
        *_arrived(measured.observed),
        row("rate at the knee", _knee(measured)),
        row("response p50 / p99", _latency(measured)),
        *_steps(measured),
        *routes(measured),
        *answers(measured),
        *workers(measured),
        "",
        row("cost of watching" if watched else "this probe cost", _cost(measured)),
        *unknowns(measured.unknown),
        "",
        "Next",
        f"  {_next(measured, saved_as)}",
    ]
    return printed(lines)


def _who(target: Target) -> str:
    through = f", through {', then '.join(target.through)}" if target.through else ""
    upstream = f" to {target.upstream}" if target.upstream else ""
    if target.server is None:
        return f"processes not seen, so a black box: only its answers tell{through}{upstream}"
    name = "a server of unknown kind" if target.server == "unknown" else target.server
    kind = f" ({target.worker_class})" if target.worker_class else ""
    pid = f", pid {target.pid}" if target.pid else ""
    shape = f", {count(target.workers, 'worker')}" if target.workers is not None else ""
    threads = f" x {target.threads} threads" if shape and (target.threads or 1) > 1 else ""
    return f"{name}{kind}{pid}{shape}{threads}{through}{upstream}"


def _watched(measured: Measurement) -> list[str]:
    if measured.mode != "observe":
        return []
    return [paragraph(f"Watched for {measured.cost.duration_s:.0f} s: no request was sent.")]


def _limiter(limiter: Limiter) -> list[str]:
    sure = f" ({limiter.confidence:.0%} sure)" if limiter.confidence else ""
    where = limiter.evidence.get("where")
    meaning = MEANING[limiter.verdict]
    return [
        f"Limited by: {limiter.verdict}{sure}",
        paragraph(limiter.why),
        *([paragraph(meaning)] if meaning else []),
        *([row("in the code", shortened(str(where), WIDTH - 24))] if where else []),
        *_canary(limiter),
    ]


def _canary(limiter: Limiter) -> list[str]:
    """What became of a request that was sent beside another, to the same worker."""
    said = []
    if verdict := limiter.evidence.get("canary"):
        said.append(_CANARY.get(str(verdict), str(verdict)))
    match limiter.evidence.get("canary_beside_s"), limiter.evidence.get("canary_alone_s"):
        case (int() | float() as beside, int() | float() as alone):
            said.append(f"{duration(beside)} beside another request, {duration(alone)} alone")
    return [row("canary", "; ".join(said))] if said else []


def _quantity(estimate: Estimate | None) -> str:
    return f"{duration(estimate.value)}{spread(estimate)}" if estimate else UNKNOWN


def _has_loop(measured: Measurement) -> bool:
    """Only servers with an event loop have one to block."""
    sought = any(gap.what == "blocked_per_request_s" for gap in measured.unknown)
    return measured.blocked_per_request_s is not None or sought


def _blocked(measured: Measurement) -> list[str]:
    if not _has_loop(measured):
        return []
    return [row("loop blocked", _quantity(measured.blocked_per_request_s))]


def _threads(measured: Measurement) -> list[str]:
    if measured.threads is None:
        return []
    main = "the event loop" if _has_loop(measured) else "the main thread"
    used = measured.threads
    split = (
        f"{duration(used.main_s.value)} on {main}, {duration(used.others_s.value)} on other threads"
    )
    return [row("", split)]


def _arrived(observed: Observed | None) -> list[str]:
    if observed is None:
        return []
    source = shortened(observed.source, 50)
    where = f"stub_status at {source}" if observed.kind == "stub-status" else source
    form = f" ({shortened(observed.format, 30)})" if observed.format else ""
    return [
        row(
            "requests",
            f"{observed.requests:,}, {rate(observed.rate_rps)}, {count(observed.errors, 'error')}",
        ),
        row("read from", f"{where}{form}"),
    ]


def _knee(measured: Measurement) -> str:
    knee = measured.throughput.knee_rps
    if knee is not None:
        over = measured.throughput.knee_connections
        where = f", over {count(over, 'connection')}" if over else ""
        return f"{rate(knee.value)}{spread(knee)}{where}"
    return "not looked for" if measured.mode == "observe" else "not found"


def _open_loop(check: OpenLoop) -> str:
    errors = f", {count(check.errors, 'error')}" if check.errors else ""
    late = f"; the generator sent {check.late_ratio:.0%} late" if check.late_ratio > _LATE else ""
    return (
        f"at {rate(check.rate_rps)}, {check.utilisation_ratio:.0%} of the knee{errors}: visitors "
        f"who do not wait for each other, timed from when each was due{late}"
    )


def _latency(measured: Measurement) -> str:
    known = [measured.latency_s.get(name) for name in ("p50", "p99")]
    times = " / ".join(duration(each.value) if each else UNKNOWN for each in known)
    if not any(known):
        return times
    if check := measured.throughput.open_loop:
        return f"{times}, {_open_loop(check)}"
    if measured.observed is None:
        return f"{times}, at up to half of the knee's rate"
    if measured.observed.upstream_time:
        return f"{times}, as the proxy waits for the app"
    return f"{times}, the client's network included"


def _steps(measured: Measurement) -> list[str]:
    steps = measured.throughput.steps
    if not steps:
        return []
    table = grid(
        [
            ("connections", [f"{step.connections:,}" for step in steps]),
            ("requests/s", [f"{step.rps:,.1f}" for step in steps]),
            ("p50", [_time(step.p50_s) for step in steps]),
            ("p99", [_time(step.p99_s) for step in steps]),
            ("cores", [_number(step.server_cpu_cores, ".2f") for step in steps]),
            ("CPU/request", [_time(step.cpu_per_request_s) for step in steps]),
            ("queue", [_number(step.queue, ".1f") for step in steps]),
            ("errors", [f"{step.errors:,}" if step.errors else NOTHING for step in steps]),
        ]
    )
    queued = any(step.queue is not None for step in steps)
    note = "queue: requests that wait in the server because others are served"
    return ["", *table, *([paragraph(note)] if queued else [])]


def _cost(measured: Measurement) -> str:
    cost = measured.cost
    if measured.mode == "observe":
        return f"no request, {cost.client_cpu_s:.1f} s of its own CPU"
    server = UNKNOWN if cost.server_cpu_s is None else f"{cost.server_cpu_s:.1f} s"
    return (
        f"{cost.requests:,} requests, {cost.duration_s:.0f} s, CPU: {server} of the server, "
        f"{cost.client_cpu_s:.1f} s of its own"
    )


def _next(measured: Measurement, saved_as: str | None) -> str:
    """The command that turns this into settings."""
    url = shlex.quote(measured.target.url)
    if saved_as is not None:
        return f"advisor recommend --measurement {shlex.quote(saved_as)}"
    if measured.mode == "observe":
        return "save it (-o seen.yml), then: advisor recommend --measurement seen.yml"
    if measured.target.server is None:
        return f"where its processes can be seen: advisor recommend {url}"
    return f"advisor recommend {url}"


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)


def _number(value: float | None, form: str) -> str:
    return NOTHING if value is None else f"{value:{form}}"
