"""Order across components, checked once on the final values, whoever set them: pins too."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.documents import Finding
from advisor.rules.registry import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.documents import Setting, Value

WORDS: dict[Callable[[int, int], bool], str] = {
    operator.gt: "longer than",
    operator.ge: "at least",
    operator.le: "at most",
}


@dataclass(frozen=True, slots=True)
class Order:
    """`left` relates to `right`, or `harm` follows. Both are setting ids or facts."""

    id: str
    severity: Literal["warning", "critical"]
    left: str
    holds: Callable[[int, int], bool]
    right: str
    harm: str


ORDERS = (
    Order(
        "keepalive-order",
        "critical",
        "gunicorn.keepalive",
        operator.gt,
        "nginx.upstream_keepalive_timeout",
        "The app closes an idle connection as nginx reuses it: a 502 (gunicorn#3323).",
    ),
    Order(
        "timeout-order",
        "warning",
        "nginx.proxy_read_timeout",
        operator.ge,
        "gunicorn.timeout",
        "nginx gives up with a 504 while the app still works on the request.",
    ),
    Order(
        "stop-order",
        "warning",
        "systemd.timeout_stop_sec",
        operator.gt,
        "gunicorn.graceful_timeout",
        "systemd kills requests that Gunicorn still lets finish.",
    ),
    Order(
        "backlog-somaxconn",
        "warning",
        "gunicorn.backlog",
        operator.le,
        "kernel.somaxconn",
        "The kernel cuts the queue to its own limit without a word.",
    ),
    Order(
        "socket-backlog-somaxconn",
        "warning",
        "systemd.socket_backlog",
        operator.le,
        "kernel.somaxconn",
        "The kernel cuts the queue to its own limit without a word.",
    ),
    Order(
        "memory-order",
        "warning",
        "systemd.memory_high",
        operator.le,
        "systemd.memory_max",
        "The kernel kills before it reclaims.",
    ),
    Order(
        "memory-need",
        "critical",
        "systemd.memory_max",
        operator.ge,
        "plan.needed_bytes",
        "The kernel kills workers under load or during a reload.",
    ),
    Order(
        "descriptors",
        "critical",
        "systemd.limit_nofile",
        operator.gt,
        "gunicorn.threads",
        "A worker runs out of descriptors before its threads are busy.",
    ),
)


def check(settings: list[Setting], facts: Mapping[str, int | None]) -> list[Finding]:
    """A finding for each order that the final values break.

    A setting that is absent does not apply here; one that is null has its product's default.
    `facts` holds what is no setting: `kernel.somaxconn`, `plan.needed_bytes`.
    """
    values: dict[str, Value] = dict(facts)
    for setting in settings:
        known = RULES[setting.id].default if setting.value is None else setting.value
        values[setting.id] = known
    return [
        _broken(order, left, right)
        for order in ORDERS
        if isinstance(left := values.get(order.left), int)
        and isinstance(right := values.get(order.right), int)
        and not order.holds(left, right)
    ]


def _broken(order: Order, left: int, right: int) -> Finding:
    relation = WORDS[order.holds]
    return Finding(
        id=order.id,
        severity=order.severity,
        title=f"{order.left} should be {relation} {order.right}",
        detail=f"{order.left} is {left}, {order.right} is {right}. {order.harm}",
        evidence={order.left: left, order.right: right},
        remedy=f"Change the pin so that {order.left} is {relation} {order.right}.",
    )
