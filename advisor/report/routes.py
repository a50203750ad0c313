"""The routes of a measurement: what each costs, and what may keep its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import duration
from advisor.report.grid import NOTHING, grid, shortened
from advisor.report.layout import paragraph, row

if TYPE_CHECKING:
    from advisor.documents import Cacheable, HttpFacts, Measurement
    from advisor.documents.measurement import RouteResult

_NAME = 21  # of a route, where a label stands
_WORTH_PACKING = 0.9
_TINY_BYTES = 256  # below that gzip gains nothing (h5bp's gzip_min_length)


def routes(measured: Measurement) -> list[str]:
    """A line for each route of a mix, the slowest and the costliest named; nothing for one."""
    results = measured.routes
    if len(results) < 2:
        return []
    table = grid(
        [
            ("route", [each.path for each in results]),
            ("share", [f"{each.weight:.0%}" for each in results]),
            ("requests", [f"{each.requests:,}" for each in results]),
            ("errors", [f"{each.errors:,}" if each.errors else NOTHING for each in results]),
            ("p50", [_time(each.p50_s) for each in results]),
            ("p99", [_time(each.p99_s) for each in results]),
            ("CPU", [_time(_cpu(each)) for each in results]),
            ("waiting", [_time(_wait(each)) for each in results]),
        ],
        names=True,
    )
    alone = any(each.cpu_per_request_s for each in results) and measured.mode == "probe"
    note = "CPU and waiting: each route alone. p50 and p99: all routes together."
    return ["", "Routes", *table, *([paragraph(note)] if alone else []), *_named(results)]


def answers(measured: Measurement) -> list[str]:
    """What the answer of each measured route is, and whether a cache may hold it."""
    if not measured.http:
        return []
    mix = {each.path for each in measured.routes} | {measured.http[0].path}
    asked = [fact for fact in measured.http if fact.path in mix]
    health = [fact for fact in measured.http if fact.path not in mix]
    return [
        "",
        "Answers",
        *(line for fact in asked for line in _answer(fact)),
        *(row("health route", f"{fact.path}, {fact.status}") for fact in health),
    ]


def _named(results: list[RouteResult]) -> list[str]:
    """The slowest by p99, or p50 where p99 is not known; the costliest by its part of all CPU."""
    said = []
    for name in ("p99_s", "p50_s"):
        times = {each.path: value for each in results if (value := getattr(each, name)) is not None}
        if times:
            slowest = max(times, key=lambda path: times[path])
            said.append(
                f"Slowest: {shortened(slowest, 40)}, {name[:3]} {duration(times[slowest])}."
            )
            break
    used = {each.path: each.weight * cpu for each in results if (cpu := _cpu(each)) is not None}
    if total := sum(used.values()):
        costliest = max(used, key=lambda path: used[path])
        whole = "all" if len(used) == len(results) else "the known"
        said.append(
            f"Costliest: {shortened(costliest, 40)}, {used[costliest] / total:.0%} of {whole} CPU."
        )
    return [paragraph(text) for text in said]


def _answer(fact: HttpFacts) -> list[str]:
    what = f"{fact.status} {fact.content_type or 'of no type'}, {fact.bytes:,} bytes, {_pack(fact)}"
    return [
        row(shortened(fact.path, _NAME), what),
        row("", f"headers: {_headers(fact)}"),
        row("", f"micro-cache of a second: {_may(fact.microcache)}"),
        row("", f"CDN: {_may(fact.cdn)}"),
    ]


def _pack(fact: HttpFacts) -> str:
    if fact.compressed:
        return "compressed"
    if fact.compressible_ratio is None:
        return "not compressed"
    if fact.bytes < _TINY_BYTES or fact.compressible_ratio > _WORTH_PACKING:
        return "not compressed, nor worth it"
    return f"not compressed (gzip would make it {fact.compressible_ratio:.0%})"


def _headers(fact: HttpFacts) -> str:
    said = [
        f"Cache-Control {fact.cache_control}" if fact.cache_control else "",
        f"{fact.etag} ETag" if fact.etag else "",
        "Last-Modified" if fact.last_modified else "",
        f"Vary {', '.join(fact.vary)}" if fact.vary else "",
        "Set-Cookie" if fact.sets_cookie else "",
    ]
    return "; ".join(filter(None, said)) or "none that a cache goes by"


def _may(cacheable: Cacheable | None) -> str:
    if cacheable is None:
        return "unknown"
    return f"{'yes' if cacheable.value else 'no'}, {cacheable.why}"


def _cpu(result: RouteResult) -> float | None:
    return result.cpu_per_request_s.value if result.cpu_per_request_s else None


def _wait(result: RouteResult) -> float | None:
    return result.wait_per_request_s.value if result.wait_per_request_s else None


def _time(seconds: float | None) -> str:
    return NOTHING if seconds is None else duration(seconds)
