"""The kernel's limits are raised, never lowered, whatever is there and whatever is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.render.kit.sysctl import KEYS
from advisor.rules import RULES, decide
from tests.rules.cases.shared import BASIS, COMPUTING
from tests.rules.cases.sysctl import files, outgoing, queue

COUNTS = st.integers(0, 2**31 - 1)
PRESENT = {
    "sysctl.somaxconn": "kernel.somaxconn",
    "sysctl.tcp_max_syn_backlog": "kernel.tcp_max_syn_backlog",
    "sysctl.ip_local_port_range": "kernel.ip_local_port_range",
    "sysctl.tcp_fin_timeout": "kernel.tcp_fin_timeout_s",
    "sysctl.file_max": "kernel.file_max",
}


def said(id_: str, evidence: dict[str, Any]) -> Any:
    rule = RULES[id_]
    return rule.decide({name: evidence.get(name) for name in (*rule.needs, *rule.wants)})


@given(
    present=COUNTS,
    concurrency=st.integers(1, 2**17),
    backlog=st.none() | st.integers(1, 65535),
    limit=st.integers(64, 2**30),
    workers=st.integers(1, 1024),
)
def test_a_number_is_never_lowered(
    present: int, concurrency: int, backlog: int | None, limit: int, workers: int
) -> None:
    asked = {} if backlog is None else {"gunicorn__backlog": backlog}
    evidence = queue(present, concurrency, **asked)
    evidence |= files(present, limit, workers) | {"kernel.tcp_fin_timeout_s": present}
    for id_ in set(PRESENT) - {"sysctl.ip_local_port_range"}:
        choice = said(id_, evidence)
        assert choice is None or choice.value > present


@given(
    present=COUNTS,
    concurrency=st.integers(1, 2**17),
    limit=st.integers(64, 2**30),
    workers=st.integers(1, 1024),
)
def test_what_our_file_has_raised_is_said_again(
    present: int, concurrency: int, limit: int, workers: int
) -> None:
    """Or the next apply would take it back, and the one after that would raise it."""
    evidence = outgoing() | queue(present, concurrency) | files(present, limit, workers)
    evidence |= {"kernel.tcp_fin_timeout_s": present}
    for id_, name in PRESENT.items():
        first = said(id_, evidence)
        if first is not None:
            ours = {name: first.value, "kernel.set_by_advisor": [KEYS[id_]]}
            again = said(id_, evidence | ours)
            assert again is not None
            assert again.value == first.value


@given(
    ends=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    concurrency=st.integers(1, 2**17),
    rate=st.none() | st.floats(0.1, 1e6),
)
def test_a_range_is_never_narrowed(
    ends: tuple[int, int], concurrency: int, rate: float | None
) -> None:
    crowded = replace(COMPUTING, concurrency=concurrency)
    evidence = outgoing(
        plan=crowded, kernel__ip_local_port_range=list(ends), targets__rate_rps=rate
    )
    choice = said("sysctl.ip_local_port_range", evidence)
    if choice is not None:
        low, high = choice.value
        assert low <= min(ends)
        assert max(ends) <= high <= 65535
        assert [low, high] != sorted(ends)


def test_a_rate_asked_for_counts_where_nothing_was_measured() -> None:
    unmeasured = replace(COMPUTING, throughput=None)
    for rate, speaks in ((200, False), (300, True)):
        evidence = outgoing(plan=unmeasured, targets__rate_rps=rate)
        assert (said("sysctl.ip_local_port_range", evidence) is not None) is speaks


@pytest.mark.parametrize("id_", PRESENT)
def test_what_is_not_known_is_said_to_be_unknown(id_: str) -> None:
    evidence = outgoing() | queue(128) | files(50_000, 4096, 8) | {"kernel.tcp_fin_timeout_s": 15}
    evidence |= {"server": "gunicorn", "plan.workers": 8, "plan.threads": 1}
    assert id_ in {setting.id for setting in decide(evidence, {}).settings}
    evidence[PRESENT[id_]] = None
    decision = decide(evidence, {})
    assert id_ not in {setting.id for setting in decision.settings}
    (gap,) = [entry for entry in decision.unknown if entry.what == id_]
    assert PRESENT[id_] in gap.why


@pytest.mark.parametrize(
    ("evidence", "binding"),
    [
        (queue(128), None),
        (queue(128, concurrency=3000), "plan.concurrency"),
        (queue(128, uvicorn__backlog=4096), "uvicorn.backlog"),
    ],
)
def test_the_longest_queue_asked_for_binds(evidence: dict[str, Any], binding: str | None) -> None:
    rule = RULES["sysctl.somaxconn"]
    choice = rule.decide({name: evidence.get(name) for name in (*rule.needs, *rule.wants)})
    assert choice is not None
    assert choice.binding == binding


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        ("0.9 of what /sys/fs/cgroup/memory.max leaves", True),
        ("0.9 of what /sys/fs/cgroup/memory/memory.limit_in_bytes leaves", False),
        ("0.9 of what /sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/memory.max leaves", True),
        ("0.9 of what /sys/fs/cgroup/system.slice/docker-3f1c.scope/memory.max leaves", True),
        ("0.9 of what /sys/fs/cgroup/system.slice/shop.service/memory.max leaves", False),
        ("0.9 of what /proc/meminfo leaves", False),
        ("--memory", False),
    ],
)
def test_a_container_is_told_who_can_set_it(source: str, inside: bool) -> None:
    basis = {"plan.basis": replace(BASIS, budget_source=source)}
    for id_, evidence in (
        ("sysctl.somaxconn", queue(128)),
        ("sysctl.file_max", files(50_000, 4096, 8)),
    ):
        assert ("This is a container" in said(id_, evidence | basis).why) is inside
