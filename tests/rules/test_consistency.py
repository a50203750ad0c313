"""Every order across components is seen when it is broken, and not when it holds."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Setting
from advisor.rules import RULES
from advisor.rules.consistency import ORDERS, Order, check, spreads
from advisor.rules.final import finals
from tests.rules.cases.shared import WAITING, measured

# Evidence that makes each name that is no setting what it should be; a plan's follow from others.
GIVEN = {
    "kernel.somaxconn": "kernel.somaxconn",
    "limits.request_body": "limits.request_body",
    "plan.needed_bytes": "plan.needed_bytes",
}
DERIVED = {
    "granian.idle_timeout",
    "latency_s.p99",
    "plan.tasks",
    "plan.connections",
    "sqlalchemy.connections",
    "database.per_worker",
    "database.used",
}
# Values of the left and right that keep and that break each relation.
EXAMPLES: dict[Any, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {
    operator.gt: ([(200, 100)], [(100, 200), (100, 100)]),
    operator.ge: ([(200, 100), (100, 100)], [(100, 200)]),
    operator.le: ([(100, 200), (100, 100)], [(200, 100)]),
    spreads: ([(10, 100), (100, 100), (0, 0)], [(0, 100), (200, 100)]),
}


def setting(id_: str, value: Any, *, pinned: bool = True) -> Setting:
    return Setting(
        id=id_,
        value=value,
        unit=None,
        why="A test.",
        binding=None,
        confidence="high",
        applied_by="file",
        pinned=pinned,
        inputs={},
        alternatives=[],
        source="a test",
    )


def workers(
    kind: str = "threads", number: int = 2, threads: int = 8, **more: Any
) -> dict[str, Any]:
    """Evidence of a plan."""
    return {
        "server": "gunicorn",
        "plan.kind": kind,
        "plan.workers": number,
        "plan.threads": threads,
        "plan.concurrency": 64,
        **more,
    }


def ids(settings: dict[str, Any], evidence: dict[str, Any] | None = None) -> list[str]:
    return [
        finding.id
        for finding in check(
            [setting(id_, value) for id_, value in settings.items()], evidence or {}
        )
    ]


PAIRS = [
    (order, left, right)
    for order in ORDERS
    for left, right in order.pairs
    if not {left, right} & DERIVED
]


@pytest.mark.parametrize(
    ("order", "left", "right"), PAIRS, ids=lambda each: getattr(each, "id", each)
)
def test_an_order_is_seen_broken_and_seen_kept(order: Order, left: str, right: str) -> None:
    kept, broken = EXAMPLES[order.holds]
    for pair, expected in [*((p, []) for p in kept), *((p, [order.id]) for p in broken)]:
        both = dict(zip((left, right), pair, strict=True))
        evidence = {GIVEN[id_]: value for id_, value in both.items() if id_ in GIVEN}
        pins = {id_: value for id_, value in both.items() if id_ not in GIVEN}
        assert ids(pins, evidence) == expected, pair


def test_every_name_in_an_order_is_a_setting_or_known_otherwise() -> None:
    names = {name for order in ORDERS for name in (*order.left, *order.right)}
    assert names - set(GIVEN) - DERIVED <= set(RULES)


@pytest.mark.parametrize(
    ("settings", "evidence", "expected"),
    [
        # Granian closes after 30 s, whatever is said.
        ({"nginx.upstream_keepalive_timeout": 60}, {"server": "granian"}, ["keepalive-order"]),
        ({"nginx.upstream_keepalive_timeout": 20}, {"server": "granian"}, []),
        # One request in a hundred takes 22 s at the high end, 20 s as measured.
        ({"nginx.proxy_read_timeout": 10}, {"latency_s.p99": measured(20)}, ["latency-order"]),
        ({"nginx.proxy_read_timeout": 60}, {"latency_s.p99": measured(20)}, []),
        # One master, two workers of eight threads.
        ({"systemd.tasks_max": 16}, workers(), ["tasks"]),
        ({"systemd.tasks_max": 17}, workers(), []),
        # AnyIO's forty threads a worker, or as many as the app makes them.
        ({"systemd.tasks_max": 80}, workers("loop", **{"app.interface": "asgi"}), ["tasks"]),
        ({"systemd.tasks_max": 81}, workers("loop", **{"app.interface": "asgi"}), []),
        ({"systemd.tasks_max": 81, "anyio.tokens": 100}, workers("loop"), ["tasks"]),
        # All of a loop's 64 connections may be in one worker, and a sync worker has one.
        ({"systemd.limit_nofile": 64}, workers("loop"), ["descriptors"]),
        ({"systemd.limit_nofile": 65}, workers("loop"), []),
        ({"systemd.limit_nofile": 64}, workers("one"), []),
        # 100 connections over two hosts, two workers, twice in a reload: 12 each.
        (
            {"sqlalchemy.pool_size": 5, "sqlalchemy.max_overflow": 10},
            workers("loop", **{"database.max_connections": 100, "hosts": ["a:1", "b:1"]}),
            ["pool-order"],
        ),
        (
            {"sqlalchemy.pool_size": 5, "sqlalchemy.max_overflow": 7},
            workers("loop", **{"database.max_connections": 100, "hosts": ["a:1", "b:1"]}),
            [],
        ),
        ({"asyncpg.max_size": 26}, workers(**{"database.max_connections": 100}), ["pool-order"]),
        # Eight threads, and a database that has 25 for each worker.
        ({"asyncpg.max_size": 7}, workers(**{"database.max_connections": 100}), ["pool-threads"]),
        ({"asyncpg.max_size": 8}, workers(**{"database.max_connections": 100}), []),
        # It has three: no pool of eight can be asked for.
        ({"asyncpg.max_size": 3}, workers(**{"database.max_connections": 12}), []),
        # Not even one each: another finding says so.
        ({"asyncpg.max_size": 1}, workers(**{"database.max_connections": 2}), []),
    ],
)
def test_orders_on_what_follows_from_several(
    settings: dict[str, Any], evidence: dict[str, Any], expected: list[str]
) -> None:
    assert ids(settings, evidence) == expected


def test_a_raised_kernel_limit_counts() -> None:
    short = {"gunicorn.backlog": 2048}
    assert ids(short, {"kernel.somaxconn": 128}) == ["backlog-somaxconn"]
    assert ids(short | {"sysctl.somaxconn": 4096}, {"kernel.somaxconn": 128}) == []
    # Left as it is, it stays what the kernel has, whatever the product's default.
    assert ids(short | {"sysctl.somaxconn": None}, {"kernel.somaxconn": 128}) == [
        "backlog-somaxconn"
    ]
    # A pin may lower it too.
    assert ids(short | {"sysctl.somaxconn": 100}, {"kernel.somaxconn": 4096}) == [
        "backlog-somaxconn"
    ]


def test_the_plan_says_what_it_needs() -> None:
    needed = WAITING.needed_bytes
    assert ids({"systemd.memory_max": needed - 1}, {"plan": WAITING}) == ["memory-need"]
    assert ids({"systemd.memory_max": needed}, {"plan": WAITING}) == []


def test_no_limit_is_more_than_any() -> None:
    assert ids({"nginx.proxy_read_timeout": 60, "gunicorn.timeout": 0}) == ["timeout-order"]
    assert ids({"nginx.client_max_body_size": 0}, {"limits.request_body": 10**9}) == []


def test_the_finding_names_both_sides_and_what_follows() -> None:
    (finding,) = check(
        [
            setting("gunicorn.keepalive", 2),
            setting("nginx.upstream_keepalive_timeout", 60, pinned=False),
        ],
        {},
    )
    assert (finding.id, finding.severity) == ("keepalive-order", "critical")
    assert "gunicorn.keepalive is 2" in finding.detail
    assert "nginx.upstream_keepalive_timeout is 60" in finding.detail
    assert "502" in finding.detail
    assert finding.evidence == {
        "gunicorn.keepalive": 2,
        "nginx.upstream_keepalive_timeout": 60,
    }
    assert "the pin of gunicorn.keepalive so that" in finding.remedy


def test_pins_that_contradict_each_other_are_critical_and_both_named() -> None:
    both = {"systemd.timeout_stop_sec": 5, "gunicorn.graceful_timeout": 30}
    (finding,) = check([setting(id_, value) for id_, value in both.items()], {})
    assert finding.severity == "critical"
    assert "as pinned" in finding.detail
    assert "systemd.timeout_stop_sec or gunicorn.graceful_timeout" in finding.remedy
    (finding,) = check(
        [
            setting("systemd.timeout_stop_sec", 5),
            setting("gunicorn.graceful_timeout", 30, pinned=False),
        ],
        {},
    )
    assert finding.severity == "warning"


def test_a_pin_of_a_part_is_a_pin_of_the_whole() -> None:
    pool = [
        setting("sqlalchemy.pool_size", 50),
        setting("sqlalchemy.max_overflow", 0, pinned=False),
    ]
    (finding,) = check(pool, workers("loop", **{"database.max_connections": 100}))
    assert "the pin of sqlalchemy.pool_size so that" in finding.remedy


def test_a_component_that_was_not_chosen_does_not_count() -> None:
    pins = {"uvicorn.timeout_keep_alive": 5, "nginx.upstream_keepalive_timeout": 60}
    assert ids(pins, {"server": "uvicorn", "proxy": "nginx"}) == ["keepalive-order"]
    settings = [setting(id_, value) for id_, value in pins.items()]
    (finding,) = check(settings, {"server": "gunicorn", "proxy": "nginx"})
    assert finding.id == "pin-without-effect"
    assert "server: uvicorn" in finding.remedy
    assert finding.evidence == {"pin": "uvicorn.timeout_keep_alive", "server": "gunicorn"}
    # What no pin asked for is not worth a word.
    free = [setting("uvicorn.timeout_keep_alive", 5, pinned=False)]
    assert check(free, {"server": "gunicorn"}) == []


def test_null_is_the_products_default() -> None:
    # Gunicorn's own 2 s against nginx's 60 s.
    defaults = {"gunicorn.keepalive": None, "nginx.upstream_keepalive_timeout": None}
    assert ids(defaults) == ["keepalive-order"]


def test_what_is_absent_or_unknown_is_no_finding() -> None:
    assert ids({"gunicorn.keepalive": 2}, {"kernel.somaxconn": None}) == []


NUMBERS = st.integers(-(10**18), 10**18) | st.floats(-1e9, 1e9)
VALUES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5)


@given(
    st.dictionaries(st.sampled_from(sorted(RULES)), VALUES, max_size=12),
    st.sampled_from(["gunicorn", "uvicorn", "hypercorn", "granian", None]),
    st.sampled_from(["nginx", "caddy", "none", None]),
    st.integers(1, 1024),
)
def test_whatever_is_pinned_can_be_checked(
    pins: dict[str, Any], server: str | None, proxy: str | None, number: int
) -> None:
    evidence = workers(number=number, proxy=proxy) | {"server": server}
    settings = [setting(id_, value) for id_, value in pins.items()]
    for finding in check(settings, evidence):
        # A document holds it.
        assert finding.model_dump_json()
        assert finding.detail.endswith(".")
    assert set(finals(settings, evidence))
