from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Server
from advisor.probe.analysis.workers import MIB, balance, marginal, started_by, worker_memory
from advisor.probe.sample.memory import Holding, Holdings, Pages

GUNICORN = ("/venv/bin/python", "/venv/bin/gunicorn", "-w", "2", "shop:app")
SPAWNED = ("python3", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(pipe=7)")


def holding(
    pid: int, argv: tuple[str, ...] = GUNICORN, *, anonymous: int = 80, own: int | None = 75
) -> Holding:
    """A process in MiB; without `own` its pages may not be read."""
    pages = Pages(resident=88 * MIB, own=own * MIB, own_files=2 * MIB) if own is not None else None
    return Holding(pid, argv, anonymous * MIB, pages)


def server(**settings: bool) -> Server:
    return Server(
        kind="gunicorn",
        version=None,
        pid=1,
        app=None,
        listen=[],
        worker_class=None,
        threads=None,
        workers=[],
        settings=dict(settings),
    )


@pytest.mark.parametrize(
    ("master", "workers", "expected"),
    [
        (holding(1), (holding(2), holding(3)), "fork"),
        (holding(1), (holding(2, SPAWNED), holding(3, SPAWNED)), "spawn"),
        (holding(1), (holding(1),), "itself"),
        (holding(1), (holding(2, ("gunicorn: worker [shop]",)),), "fork"),
        (holding(1), (holding(2, SPAWNED), holding(3)), "unknown"),
        (
            holding(1),
            (holding(2, ("python3", "-c", "from multiprocessing.forkserver")),),
            "unknown",
        ),
        (holding(1), (holding(2, ()),), "unknown"),
        (holding(1), (), "unknown"),
    ],
)
def test_how_workers_were_started_shows_in_their_command_lines(
    master: Holding, workers: tuple[Holding, ...], expected: str
) -> None:
    assert started_by(Holdings(master, workers)) == expected


@pytest.mark.parametrize(
    ("master", "worker", "expected"),
    [
        (15, 81, False),  # an app of 60 MB, without and with --preload, as measured
        (82, 81, True),
        (16, 22, False),  # Flask
        (23, 21, True),
        (18, 34, False),  # FastAPI, under UvicornWorker
        (32, 34, True),
        (15, 19, None),  # hardly any app: nothing stands out
        (45, 81, None),  # a configuration file that imports much, or workers that have grown
    ],
)
def test_preloading_shows_in_what_the_master_holds(
    master: int, worker: int, expected: bool | None
) -> None:
    seen = Holdings(
        holding(1, anonymous=master), (holding(2, anonymous=worker), holding(3, anonymous=worker))
    )
    assert worker_memory(server(), seen)[0].preloaded is expected


def test_a_worker_that_has_grown_does_not_hide_that_it_was_preloaded() -> None:
    workers = (holding(2, anonymous=300), holding(3, anonymous=84))
    seen = Holdings(holding(1, anonymous=82), workers)
    assert worker_memory(server(), seen)[0].preloaded is True


@pytest.mark.parametrize("told", [True, False])
def test_gunicorns_own_setting_decides(told: bool) -> None:
    seen = Holdings(holding(1, anonymous=45), (holding(2),))
    assert worker_memory(server(preload_app=told), seen)[0].preloaded is told


def test_nothing_is_preloaded_into_spawned_workers_and_one_process_has_no_fork() -> None:
    spawned = Holdings(holding(1, anonymous=82), (holding(2, SPAWNED),))
    assert worker_memory(server(), spawned)[0].preloaded is False
    alone = Holdings(holding(1), (holding(1),))
    assert worker_memory(server(), alone)[0].preloaded is None


def test_one_more_worker_takes_what_each_has_of_its_own() -> None:
    seen = Holdings(holding(1), (holding(2, own=70), holding(3, own=80)))
    memory, unknown = worker_memory(server(), seen)
    assert unknown == []
    assert memory.shared_bytes == (18 + 8) / 2 * MIB
    assert memory.marginal_bytes is not None
    assert memory.marginal_bytes.value == 75 * MIB
    assert memory.marginal_bytes.low < 70 * MIB
    assert memory.marginal_bytes.high > 80 * MIB
    assert memory.marginal_bytes.n == 2


def test_of_a_single_worker_a_second_might_share_some() -> None:
    """Its files, and a forked one's pages that the master has copied: 2 and 20 MiB here."""
    seen = Holdings(holding(1, own=20), (holding(2, own=75),))
    forked, spawned = marginal("fork", seen), marginal("spawn", seen)
    assert forked is not None
    assert spawned is not None
    assert forked.value == spawned.value == 73 * MIB
    assert forked.low <= 53 * MIB < spawned.low
    assert min(forked.high, spawned.high) >= 75 * MIB


def test_a_single_preloaded_worker_may_add_nothing() -> None:
    estimate = marginal("fork", Holdings(holding(1, own=20), (holding(2, own=9),)))
    assert estimate is not None
    assert estimate.low == 0


def test_what_may_not_be_read_is_null_and_unknown() -> None:
    seen = Holdings(holding(1, anonymous=15, own=None), (holding(2, own=None),))
    memory, (gap,) = worker_memory(server(), seen)
    assert (memory.marginal_bytes, memory.shared_bytes) == (None, None)
    assert (memory.started_by, memory.preloaded) == ("fork", False)
    assert "one more" in gap.what


def test_a_saturated_worker_beside_idle_ones_loses_throughput() -> None:
    """One of four at 0.9 of a core, with two cores to be had."""
    found = balance({1: 0.9, 2: 0.1, 3: 0.1, 4: 0.1}, cores_left=2.0)
    assert found is not None
    assert found.busiest_ratio == 0.75
    assert found.even_ratio == 0.25
    assert found.lost_ratio == pytest.approx(2.0 / 1.2 - 1, abs=1e-4)


def test_below_a_core_the_cpu_was_not_the_limit() -> None:
    found = balance({1: 0.6, 2: 0.1}, cores_left=2.0)
    assert found is not None
    assert found.lost_ratio == 0


def test_a_worker_is_saturated_by_what_it_can_get() -> None:
    found = balance({1: 0.45, 2: 0.05}, cores_left=0.5)
    assert found is not None
    assert found.lost_ratio == 0  # it got all there was: another would not have got more
    found = balance({1: 0.44, 2: 0.02}, cores_left=0.5)
    assert found is not None
    assert found.lost_ratio == pytest.approx(0.5 / 0.46 - 1, abs=1e-4)


def test_a_lone_worker_or_an_idle_server_has_no_balance() -> None:
    assert balance({1: 0.9}, 2.0) is None
    assert balance({}, 2.0) is None
    assert balance({1: 0.0, 2: 0.0}, 2.0) is None


@given(
    st.lists(st.floats(0, 4), min_size=2, max_size=64).filter(lambda cores: sum(cores) > 1e-3),
    st.floats(0, 64),
)
def test_an_even_spread_gains_at_most_what_is_left(cores: list[float], left: float) -> None:
    found = balance(dict(enumerate(cores, start=1)), left)
    assert found is not None
    assert found.even_ratio - 1e-3 <= found.busiest_ratio <= 1
    assert sum(cores) * (1 + found.lost_ratio) <= max(left, sum(cores)) * 1.001
    assert found.lost_ratio <= len(cores) * found.busiest_ratio - 1 + 0.01


@given(st.floats(0.01, 1), st.integers(2, 64), st.floats(0.1, 64))
def test_an_even_spread_loses_nothing(each: float, count: int, left: float) -> None:
    found = balance(dict.fromkeys(range(count), each), left)
    assert found is not None
    assert found.busiest_ratio == pytest.approx(found.even_ratio, abs=1.01e-4)  # rounded apart
    assert found.lost_ratio == 0
