"""Every order across components is seen when it is broken, and not when it holds."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from advisor.documents import Setting
from advisor.rules import RULES
from advisor.rules.consistency import ORDERS, Order, check


def setting(id_: str, value: Any) -> Setting:
    return Setting(
        id=id_,
        value=value,
        unit=None,
        why="A test.",
        binding=None,
        confidence="high",
        applied_by="file",
        pinned=True,
        inputs={},
        alternatives=[],
        source="a test",
    )


def outcome(order: Order, left: int, right: int) -> list[str]:
    values = {order.left: left, order.right: right}
    settings = [setting(id_, value) for id_, value in values.items() if id_ in RULES]
    facts = {id_: value for id_, value in values.items() if id_ not in RULES}
    return [finding.id for finding in check(settings, facts)]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.id)
def test_an_order_is_seen_broken_and_seen_kept(order: Order) -> None:
    smaller, larger = (100, 200)
    kept, broken = (larger, smaller), (smaller, larger)
    if order.holds is operator.le:
        kept, broken = broken, kept
    assert outcome(order, *kept) == []
    assert outcome(order, *broken) == [order.id]
    assert outcome(order, 100, 100) == ([order.id] if order.holds is operator.gt else [])


def test_where_equal_is_not_enough() -> None:
    # Both sides then give up at the same moment, and either may be first.
    strict = {order.id for order in ORDERS if outcome(order, 100, 100)}
    assert strict == {"keepalive-order", "stop-order", "descriptors"}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.id)
def test_an_order_names_settings_that_exist(order: Order) -> None:
    assert {order.left, order.right} - {"kernel.somaxconn", "plan.needed_bytes"} <= set(RULES)
    assert order.left in RULES


def test_the_finding_names_both_sides_and_what_follows() -> None:
    (finding,) = check(
        [setting("gunicorn.keepalive", 2), setting("nginx.upstream_keepalive_timeout", 60)], {}
    )
    assert (finding.id, finding.severity) == ("keepalive-order", "critical")
    assert "gunicorn.keepalive is 2" in finding.detail
    assert "nginx.upstream_keepalive_timeout is 60" in finding.detail
    assert "502" in finding.detail


def test_null_is_the_products_default() -> None:
    # Gunicorn's own 2 s against nginx's 60 s.
    defaults = [
        setting("gunicorn.keepalive", None),
        setting("nginx.upstream_keepalive_timeout", None),
    ]
    assert [finding.id for finding in check(defaults, {})] == ["keepalive-order"]


def test_what_is_absent_or_unknown_is_no_finding() -> None:
    assert check([setting("gunicorn.keepalive", 2)], {"kernel.somaxconn": None}) == []
