"""A measurement as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import duration, rate, size
from advisor.report.layout import paragraph, row, spread, unknowns

if TYPE_CHECKING:
    from advisor.documents import Estimate, Measurement, Target


def table(measured: Measurement) -> str:
    """What was measured, the limiter first; at most 80 columns."""
    target, limiter = measured.target, measured.limiter
    who = _who(target)
    shape = ""
    if target.workers is not None:
        threads = f" x {target.threads} threads" if (target.threads or 1) > 1 else ""
        workers = f"{target.workers} worker{'s' if target.workers != 1 else ''}"
        shape = f", pid {target.pid}, {workers}{threads}"
    sure = f" ({limiter.confidence:.0%} sure)" if limiter.confidence else ""
    lines = [
        measured.target.url,
        paragraph(f"{who}{shape}"),
        "",
        f"Limited by: {limiter.verdict}{sure}",
        paragraph(limiter.why),
        "",
        row("CPU per request", _quantity(measured.cpu_per_request_s)),
        row("waiting per request", _quantity(measured.wait_per_request_s)),
        *_blocked(measured),
        row("rate at the knee", _knee(measured.throughput.knee_rps)),
        row("response p50 / p99", _latency(measured)),
        *_workers(measured),
        *_steps(measured),
        "",
        *_http(measured),
        row(
            "this probe cost",
            f"{measured.cost.requests:,} requests, {measured.cost.duration_s:.0f} s, CPU: "
            f"{_cpu(measured.cost.server_cpu_s)} of the server, "
            f"{measured.cost.client_cpu_s:.1f} s of its own",
        ),
        *unknowns(measured.unknown),
    ]
    return "\n".join(lines) + "\n"


def _who(target: Target) -> str:
    if target.server is None:
        return "processes not seen"
    name = "a server of unknown kind" if target.server == "unknown" else target.server
    return f"{name} ({target.worker_class})" if target.worker_class else name


def _quantity(estimate: Estimate | None) -> str:
    return f"{duration(estimate.value)}{spread(estimate)}" if estimate else "unknown"


def _blocked(measured: Measurement) -> list[str]:
    """Only servers with an event loop have one to block."""
    blocked = measured.blocked_per_request_s
    sought = blocked or any(gap.what == "blocked_per_request_s" for gap in measured.unknown)
    return [row("loop blocked", _quantity(blocked))] if sought else []


def _knee(estimate: Estimate | None) -> str:
    return f"{rate(estimate.value)}{spread(estimate)}" if estimate else "not found"


def _cpu(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.1f} s"


def _latency(measured: Measurement) -> str:
    p50, p99 = measured.latency_s.get("p50"), measured.latency_s.get("p99")
    texts = [duration(q.value) if q else "unknown" for q in (p50, p99)]
    return f"{' / '.join(texts)}, at up to half of the knee's rate"


def _workers(measured: Measurement) -> list[str]:
    if not measured.workers:
        return []
    known = [worker.pss_bytes for worker in measured.workers if worker.pss_bytes is not None]
    memory = f"{size(sum(known) / len(known))} PSS each" if known else "memory unknown"
    shares = [worker.share_ratio for worker in measured.workers if worker.share_ratio is not None]
    work = ""
    if len(shares) > 1:
        work = f"; the busiest did {max(shares):.0%} of the work"
    return [row("workers", f"{len(measured.workers)}, {memory}{work}")]


def _steps(measured: Measurement) -> list[str]:
    if not measured.throughput.steps:
        return []
    lines = [
        "",
        "  connections  requests/s       p50       p99  server CPU  CPU/request",
    ]
    for step in measured.throughput.steps:
        p50 = duration(step.p50_s) if step.p50_s is not None else "-"
        p99 = duration(step.p99_s) if step.p99_s is not None else "-"
        cores = f"{step.server_cpu_cores:.2f}" if step.server_cpu_cores is not None else "-"
        demand = duration(step.cpu_per_request_s) if step.cpu_per_request_s is not None else "-"
        errors = f"  {step.errors} errors" if step.errors else ""
        lines.append(
            f"  {step.connections:>11} {step.rps:>11,.1f} {p50:>9} {p99:>9} {cores:>11} "
            f"{demand:>12}{errors}"
        )
    return lines


def _http(measured: Measurement) -> list[str]:
    if not measured.http:
        return []
    route, *health = measured.http
    packed = "compressed" if route.compressed else "not compressed"
    if not route.compressed and route.compressible_ratio is not None:
        packed += f" (gzip would make it {min(1.0, route.compressible_ratio):.0%})"
    may = "may" if route.microcache.value else "may not"
    answer = (
        f"{route.status} {route.content_type or 'of no type'}, {route.bytes:,} bytes, {packed}; a "
        f"shared cache {may} hold it: {route.microcache.why}"
    )
    return [
        row("the answer", answer),
        *(row("health route", f"{each.path}, {each.status}") for each in health),
    ]
