"""The final values that orders across components are checked on: settings, and what bounds them.

Pure. A setting that is null has its product's default; one of a component that was not chosen
does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from advisor.documents import Estimate
from advisor.model import connections
from advisor.rules import database
from advisor.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from advisor.documents import Setting, Value

# What of advisor.yml chooses one of several components.
CHOSEN = {
    **dict.fromkeys(("gunicorn", "uvicorn", "hypercorn", "granian"), "server"),
    **dict.fromkeys(("nginx", "caddy"), "proxy"),
}
# Zero says "no limit" here (gunicorn: settings, timeout; nginx: client_max_body_size; Go's
# http.Transport, ResponseHeaderTimeout).
UNLIMITED_AT_ZERO = {
    "gunicorn.timeout",
    "nginx.client_max_body_size",
    "caddy.request_body_max",
    "caddy.response_header_timeout",
}
# Granian's idle time cannot be set: 30 s, as measured.
GRANIAN_IDLE_S = 30
# Threads that AnyIO runs plain def routes on, in each worker, unless the app says otherwise.
ANYIO_TOKENS = 40


@dataclass(frozen=True, slots=True)
class Final:
    """A value that counts, and the pins that made it so."""

    value: float
    pins: tuple[str, ...] = ()

    @property
    def shown(self) -> float:
        """The value as documents can carry it."""
        return 0 if math.isinf(self.value) else self.value

    def __str__(self) -> str:
        if math.isinf(self.value):
            return "0 (no limit)"
        return str(self.value) if isinstance(self.value, int) else f"{self.value:g}"


def is_chosen(id_: str, evidence: Mapping[str, Any]) -> bool:
    """Whether the setting's component is part of this deployment.

    >>> is_chosen("uvicorn.backlog", {"server": "gunicorn"})
    False
    >>> is_chosen("systemd.memory_max", {"server": "gunicorn"})
    True
    """
    component = id_.partition(".")[0]
    choice = evidence.get(CHOSEN.get(component, ""))
    return component not in CHOSEN or choice in {None, component}


def finals(settings: Sequence[Setting], evidence: Mapping[str, Any]) -> dict[str, Final]:
    """Everything that an order may name, by name; what is absent or no number is left out.

    `evidence` is what the rules were given (known.py). Beside settings there are
    `kernel.somaxconn` as it will be, `plan.needed_bytes`, `plan.connections` (of one worker),
    `plan.tasks`, `latency_s.p99`, `limits.request_body`, `granian.idle_timeout`,
    `sqlalchemy.connections` (of one pool), `database.per_worker` and `database.used`.
    """
    counted = {each.id: each for each in settings if is_chosen(each.id, evidence)}
    found = {id_: final for id_, each in counted.items() if (final := _of(each)) is not None}
    return found | dict(_bounds(evidence)) | dict(_sums(found, evidence))


def _of(setting: Setting) -> Final | None:
    default = RULES[setting.id].default if setting.id in RULES else None
    # A kernel limit that is left alone is the host's, and a version without jitter has none to set.
    if setting.value is None and (
        setting.id.startswith("sysctl.") or setting.id.endswith("_jitter")
    ):
        return None
    known: Value = default if setting.value is None else setting.value
    if isinstance(known, bool) or not isinstance(known, int | float):
        return None
    endless = known == 0 and setting.id in UNLIMITED_AT_ZERO
    return Final(math.inf if endless else known, (setting.id,) if setting.pinned else ())


def _bounds(evidence: Mapping[str, Any]) -> Iterator[tuple[str, Final]]:
    """What was given or measured, and is no setting."""
    p99 = evidence.get("latency_s.p99")
    plan = evidence.get("plan")
    numbers = {
        "plan.needed_bytes": plan.needed_bytes if plan else evidence.get("plan.needed_bytes"),
        "limits.request_body": evidence.get("limits.request_body"),
        "latency_s.p99": p99.value if isinstance(p99, Estimate) else None,
    }
    for name, number in numbers.items():
        if number is not None:
            yield name, Final(number)


def _sums(found: Mapping[str, Final], evidence: Mapping[str, Any]) -> Iterator[tuple[str, Final]]:
    """What follows from several of them."""
    queue = evidence.get("kernel.somaxconn")
    # A raised value counts, and a pinned lower one too.
    if "sysctl.somaxconn" in found:
        yield "kernel.somaxconn", found["sysctl.somaxconn"]
    elif queue is not None:
        yield "kernel.somaxconn", Final(queue)
    if {"sqlalchemy.pool_size", "sqlalchemy.max_overflow"} <= set(found):
        size, overflow = found["sqlalchemy.pool_size"], found["sqlalchemy.max_overflow"]
        pins = size.pins + overflow.pins
        yield "sqlalchemy.connections", Final(size.value + overflow.value, pins)
    if evidence.get("server") == "granian":
        name = "granian.http1_header_read_timeout"  # milliseconds
        own = found.get(name, Final(1000 * GRANIAN_IDLE_S))
        yield "granian.idle_timeout", Final(own.value / 1000, own.pins)
    if "plan.workers" in evidence:
        yield from _of_workers(found, evidence)


def _of_workers(
    found: Mapping[str, Final], evidence: Mapping[str, Any]
) -> Iterator[tuple[str, Final]]:
    """What the workers need: their number and threads may be pinned."""
    server = evidence.get("server") or "gunicorn"
    pins = tuple(
        pin
        for name in ("workers", "threads", "blocking_threads")
        for pin in _pins(found, f"{server}.{name}")
    )
    workers, threads = evidence["plan.workers"], evidence["plan.threads"]
    kind, concurrency = evidence["plan.kind"], evidence["plan.concurrency"]
    asgi = evidence.get("app.interface") == "asgi"
    pool = found.get("anyio.tokens", Final(ANYIO_TOKENS if asgi else 0))
    yield "plan.tasks", Final(1 + workers * max(threads, pool.value), pins + pool.pins)
    held = 1 if kind == "one" else concurrency if kind == "loop" else min(threads, concurrency)
    yield "plan.connections", Final(held, pins)
    most = evidence.get("database.max_connections")
    reserved = (evidence.get("database.reserved") or 0) if most else database.KEPT
    hosts = max(1, len(evidence.get("hosts") or []))
    # One at least: that even this does not fit is a finding of its own.
    each = max(1, connections.per_worker(most or database.USUAL, reserved, hosts, workers))
    if most is not None:
        yield "database.per_worker", Final(each, pins)
    if kind == "threads":
        yield "database.used", Final(min(threads, each), pins)


def _pins(found: Mapping[str, Final], name: str) -> tuple[str, ...]:
    return found[name].pins if name in found else ()
