from __future__ import annotations

import dataclasses

import pytest

from advisor.probe.analysis.observation import Window
from advisor.probe.classes.measure import confined, disturbance, reckoned


@pytest.fixture(autouse=True)
def tolerance() -> None:
    """None here."""


GOOD = Window(
    seconds=0.5,
    completed=1000,
    errors=0,
    latency_sum=8.0,
    server_cpu={1: 0.01, 2: 0.39},
    client_cpu=0.1,
    others_cpu=0.0,
    steal=0.0,
    run_queue_wait=0.0,
)


def test_cpu_is_of_all_processes_and_a_worker_is_held_by_the_reciprocal_of_its_rate() -> None:
    cost = reckoned(GOOD, 1, cores=4)
    assert cost.cpu_s == pytest.approx(0.0004)
    assert cost.held_s == pytest.approx(0.0005)
    assert reckoned(GOOD, 2, cores=4).held_s == pytest.approx(0.001)


def test_a_worker_is_not_held_while_the_load_has_its_core() -> None:
    assert reckoned(GOOD, 2, cores=2).held_s == pytest.approx(0.0009)
    assert reckoned(GOOD, 1, cores=1).held_s == pytest.approx(0.0004)


def test_on_one_core_of_a_larger_host_the_rest_of_it_is_nobodys_time() -> None:
    own = confined(GOOD, 1, host_cores=8)
    assert reckoned(own, 2, cores=1).held_s == pytest.approx(0.0004)
    assert confined(GOOD, 2, host_cores=2) == GOOD


def test_others_have_the_rest_of_the_host_first() -> None:
    busy = dataclasses.replace(GOOD, others_cpu=0.6, steal=0.02)
    own = confined(busy, 1, host_cores=2)
    assert (own.others_cpu, own.steal) == (pytest.approx(0.1), pytest.approx(0.01))
    assert disturbance(own, 0.0, cores=1) is not None


def test_an_undisturbed_window_is_one() -> None:
    assert disturbance(GOOD, 0.0, cores=2) is None


@pytest.mark.parametrize(
    ("changed", "throttled_s", "says"),
    [
        ({"steal": 0.03}, 0.0, "hypervisor"),
        ({}, 0.01, "quota"),
        ({"others_cpu": 0.46}, 0.0, "others used 0.9 cores"),
        ({"others_cpu": 0.06, "client_cpu": 0.5}, 0.0, "others used 0.1 cores"),
        ({"errors": 11}, 0.0, "11 of its requests failed"),
        ({"completed": 49}, 0.0, "only 49 requests"),
        ({"server_cpu": {}}, 0.0, "requests in 0.5 s"),
    ],
)
def test_a_disturbed_window_says_nothing(
    changed: dict[str, object], throttled_s: float, says: str
) -> None:
    seen = dataclasses.replace(GOOD, **changed)
    found = disturbance(seen, throttled_s, cores=2)
    assert found is not None
    assert says in found.why
    assert found.remedy


def test_a_little_of_everything_is_no_disturbance() -> None:
    seen = dataclasses.replace(GOOD, steal=0.02, errors=10, others_cpu=0.4)
    assert disturbance(seen, 0.0, cores=2) is None


def test_the_load_itself_may_fill_a_single_core() -> None:
    seen = dataclasses.replace(GOOD, client_cpu=0.09, others_cpu=0.01)
    assert disturbance(seen, 0.0, cores=1) is None
