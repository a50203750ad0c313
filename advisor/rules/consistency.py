"""Order across components, checked once on the final values, whoever set them: pins too."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advisor.documents import Finding
from advisor.rules.final import CHOSEN, finals, is_chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from advisor.documents import Setting
    from advisor.rules.final import Final


def spreads(jitter: float, renewals: float) -> bool:
    """Whether workers that are renewed after so many requests are not all renewed at once."""
    return renewals == 0 or 1 <= jitter <= renewals


WORDS: dict[Callable[[float, float], bool], str] = {
    operator.gt: "more than",
    operator.ge: "at least",
    operator.le: "at most",
    spreads: "between 1 and",
}


@dataclass(frozen=True, slots=True)
class Order:
    """Each of `left` relates to each of `right`, or `harm` follows.

    All are names that `final.finals` knows. Those of one side stand for each other: a
    deployment has one server and one proxy.
    """

    id: str
    severity: Literal["warning", "critical"]
    left: tuple[str, ...]
    holds: Callable[[float, float], bool]
    right: tuple[str, ...]
    harm: str

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every left with every right."""
        return [(left, right) for left in self.left for right in self.right]


APP_IDLE = (
    "gunicorn.keepalive",
    "uvicorn.timeout_keep_alive",
    "hypercorn.keep_alive_timeout",
    "granian.idle_timeout",
)
PROXY_IDLE = ("nginx.upstream_keepalive_timeout", "caddy.upstream_keepalive_idle")
PROXY_WAITS = ("nginx.proxy_read_timeout", "caddy.response_header_timeout")
GRACE = (
    "gunicorn.graceful_timeout",
    "uvicorn.timeout_graceful_shutdown",
    "hypercorn.graceful_timeout",
    "granian.workers_kill_timeout",
)
QUEUES = (
    "gunicorn.backlog",
    "uvicorn.backlog",
    "hypercorn.backlog",
    "granian.backlog",
    "systemd.socket_backlog",
)
POOLS = ("sqlalchemy.connections", "asyncpg.max_size")
RENEWED = {
    "gunicorn.max_requests_jitter": "gunicorn.max_requests",
    "uvicorn.limit_max_requests_jitter": "uvicorn.limit_max_requests",
    "hypercorn.max_requests_jitter": "hypercorn.max_requests",
}

ORDERS = (
    Order(
        "keepalive-order",
        "critical",
        APP_IDLE,
        operator.gt,
        PROXY_IDLE,
        "The app closes an idle connection as the proxy reuses it: a 502 (gunicorn#3323).",
    ),
    Order(
        "timeout-order",
        "warning",
        PROXY_WAITS,
        operator.ge,
        ("gunicorn.timeout",),
        "The proxy gives up with a 504 while the app still works on the request.",
    ),
    Order(
        "latency-order",
        "warning",
        PROXY_WAITS,
        operator.ge,
        ("latency_s.p99",),
        "One request in a hundred takes longer as measured, and is given up.",
    ),
    Order(
        "stop-order",
        "warning",
        ("systemd.timeout_stop_sec",),
        operator.gt,
        GRACE,
        "systemd kills requests that the server still lets finish.",
    ),
    Order(
        "backlog-somaxconn",
        "warning",
        QUEUES,
        operator.le,
        ("kernel.somaxconn",),
        "The kernel cuts the queue to its own limit without a word.",
    ),
    Order(
        "body-order",
        "warning",
        ("nginx.client_max_body_size", "caddy.request_body_max"),
        operator.ge,
        ("limits.request_body",),
        "The proxy refuses with a 413 what the app is to take.",
    ),
    Order(
        "pool-order",
        "critical",
        POOLS,
        operator.le,
        ("database.per_worker",),
        "The workers of all hosts, old and new ones during a reload, open more connections than "
        "the database allows, and the last are refused.",
    ),
    Order(
        "pool-threads",
        "warning",
        POOLS,
        operator.ge,
        ("database.used",),
        "Threads wait for a connection though the database has one for each.",
    ),
    Order(
        "memory-order",
        "warning",
        ("systemd.memory_high",),
        operator.le,
        ("systemd.memory_max",),
        "The kernel kills before it reclaims.",
    ),
    Order(
        "memory-need",
        "critical",
        ("systemd.memory_max",),
        operator.ge,
        ("plan.needed_bytes",),
        "The kernel kills workers under load or during a reload.",
    ),
    Order(
        "tasks",
        "critical",
        ("systemd.tasks_max",),
        operator.ge,
        ("plan.tasks",),
        "A worker cannot start its threads: fork and pthread_create fail with EAGAIN.",
    ),
    Order(
        "descriptors",
        "critical",
        ("systemd.limit_nofile",),
        operator.gt,
        ("plan.connections", "gunicorn.worker_connections"),
        "A worker runs out of descriptors before it is busy.",
    ),
    *(
        Order(
            "renewal-order",
            "warning",
            (jitter,),
            spreads,
            (renewals,),
            "All workers are renewed at once, and nobody serves meanwhile.",
        )
        for jitter, renewals in RENEWED.items()
    ),
)


def check(settings: Sequence[Setting], evidence: Mapping[str, Any]) -> list[Finding]:
    """A finding for each order that the final values break, and for pins of what is not there.

    `evidence` is what the rules were given (known.py). A setting that is absent does not apply
    here; one that is null has its product's default.
    """
    values = finals(settings, evidence)
    broken = [
        _broken(order, *pair, values)
        for order in ORDERS
        if (pair := next(_breaking(order, values), None))
    ]
    idle = [each.id for each in settings if each.pinned and not is_chosen(each.id, evidence)]
    return [*broken, *(_without_effect(id_, evidence) for id_ in idle)]


def _breaking(order: Order, values: Mapping[str, Final]) -> Iterator[tuple[str, str]]:
    """The pairs that break the order; what breaks it first is enough for one finding."""
    for left, right in order.pairs:
        known = left in values and right in values
        if known and not order.holds(values[left].value, values[right].value):
            yield left, right


def _broken(order: Order, left: str, right: str, values: Mapping[str, Final]) -> Finding:
    """Two pins that contradict each other are critical, whatever follows from them."""
    first, second = values[left], values[right]
    pins = " or ".join(dict.fromkeys(first.pins + second.pins))
    wanted = f"{left} is {WORDS[order.holds]} {right}"
    contradict = bool(first.pins and second.pins)
    return Finding(
        id=order.id,
        severity="critical" if contradict else order.severity,
        title=f"{left} should be {WORDS[order.holds]} {right}",
        detail=f"{left} is {first}, {right} is {second}{', as pinned' * contradict}. {order.harm}",
        evidence={left: first.shown, right: second.shown},
        remedy=f"Change the pin of {pins} so that {wanted}." if pins else f"See that {wanted}.",
    )


def _without_effect(id_: str, evidence: Mapping[str, Any]) -> Finding:
    choice = CHOSEN[id_.partition(".")[0]]
    return Finding(
        id="pin-without-effect",
        severity="warning",
        title=f"The pin of {id_} has no effect",
        detail=f"{choice} is {evidence[choice]}: nothing is set up that would read it.",
        evidence={"pin": id_, choice: evidence[choice]},
        remedy=f"Remove the pin, or set {choice}: {id_.partition('.')[0]} in advisor.yml.",
    )
