from __future__ import annotations

import pytest

from advisor.documents import Interface
from advisor.probe.analysis.carriers import disk, network
from advisor.probe.analysis.observation import Window
from advisor.probe.sample.carried import Device, DiskSample

MB = 10**6
GIGABIT = Interface(name="eth0", bytes_per_s=125 * MB)


def window(*, completed: int, received: int, sent: int) -> Window:
    return Window(
        seconds=1.0,
        completed=completed,
        errors=0,
        latency_sum=1.0,
        server_cpu={},
        client_cpu=0.1,
        others_cpu=0.0,
        steal=0.0,
        run_queue_wait=0.0,
        bytes_in=received,
        bytes_out=sent,
    )


WINDOWS = [window(completed=n, received=n * 9900, sent=n * 100) for n in (100, 120, 90, 110)]


def samples(
    each: int, *, busy: float = 0.5, moved: int = 10 * MB, denied: bool = False
) -> list[DiskSample]:
    """A second and 100 requests between two; `each` bytes a request, and a disk's work a second."""
    return [
        DiskSample(
            at_s=float(second),
            requests=100 * second,
            moved_bytes=None if denied else 100 * second * each,
            devices={
                "sda": Device(moved * second, busy * second),
                "sdb": Device(0, 0.0),
            },
        )
        for second in range(6)
    ]


def test_bytes_a_request_are_both_ways_and_the_fuller_one_is_the_links_use() -> None:
    found = network(WINDOWS, GIGABIT, knee_rps=2000.0)
    assert found is not None
    assert found.bytes_per_request.value == 10_000
    assert found.bytes_per_request.n == 420
    assert (found.carrier, found.capacity_bytes_per_s) == ("eth0", 125 * MB)
    assert found.used_ratio == pytest.approx(9900 * 2000 / (125 * MB), abs=1e-4)


def test_answers_that_are_longer_than_their_requests_fill_the_other_direction() -> None:
    turned = [window(completed=100, received=10_000, sent=990_000)] * 4
    found = network(turned, GIGABIT, knee_rps=2000.0)
    assert found is not None
    assert found.used_ratio == pytest.approx(9900 * 2000 / (125 * MB), abs=1e-4)


def test_a_link_of_unknown_speed_has_no_use() -> None:
    found = network(WINDOWS, Interface(name="eth0", bytes_per_s=None), knee_rps=2000.0)
    assert found is not None
    assert (found.carrier, found.capacity_bytes_per_s, found.used_ratio) == ("eth0", None, None)


def test_without_a_default_route_or_a_knee_the_bytes_remain() -> None:
    found = network(WINDOWS, None, knee_rps=2000.0)
    assert found is not None
    assert (found.carrier, found.used_ratio) == ("lo", None)
    found = network(WINDOWS, GIGABIT, knee_rps=None)
    assert found is not None
    assert (found.capacity_bytes_per_s, found.used_ratio) == (125 * MB, None)


def test_too_few_windows_carry_nothing() -> None:
    assert network(WINDOWS[:2], GIGABIT, 2000.0) is None
    assert network([window(completed=0, received=0, sent=9)] * 4, GIGABIT, 2000.0) is None


def test_a_busy_disk_tells_what_it_could_carry() -> None:
    found, unknown = disk(samples(50_000), knee_rps=200.0)
    assert unknown is None
    assert found is not None
    assert (found.carrier, found.bytes_per_request.value) == ("sda", 50_000)
    assert found.capacity_bytes_per_s == pytest.approx(20 * MB)
    assert found.used_ratio == pytest.approx(0.5)


def test_an_idle_disk_does_not() -> None:
    found, unknown = disk(samples(50_000, busy=0.05), knee_rps=200.0)
    assert unknown is None
    assert found is not None
    assert (found.carrier, found.capacity_bytes_per_s, found.used_ratio) == ("sda", None, None)


def test_a_disk_that_did_nothing_is_not_named() -> None:
    found, _ = disk(samples(50_000, busy=0.0, moved=0), knee_rps=200.0)
    assert found is not None
    assert found.carrier == "disk"


def test_requests_that_leave_the_disks_alone_are_not_mentioned() -> None:
    assert disk(samples(0), knee_rps=200.0) == (None, None)
    assert disk([], knee_rps=200.0) == (None, None)
    assert disk(samples(50_000)[:2], knee_rps=200.0) == (None, None)


def test_what_may_not_be_read_is_unknown() -> None:
    found, unknown = disk(samples(0, denied=True), knee_rps=200.0)
    assert found is None
    assert unknown is not None
    assert unknown.what == "disk bytes a request"
