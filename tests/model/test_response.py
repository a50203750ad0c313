"""Response times at a rate of arrivals: what is known exactly, and where nothing is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.model.classes import SYNC, UVICORN_WORKER
from advisor.model.response import response_at_rate
from advisor.model.service import Configuration, Demand


def test_a_tail_at_a_rate_grows_with_it_and_ends_at_saturation() -> None:
    config = Configuration(UVICORN_WORKER, 2)
    demand = Demand(0.010, 0.010, 0.010, 0.020, measured_as=UVICORN_WORKER)
    calm, busy = (response_at_rate(0.99, config, demand, 2, rate) for rate in (20, 150))
    assert calm is not None
    assert busy is not None
    assert 0.030 <= calm.low < busy.low <= busy.high
    assert response_at_rate(0.99, config, demand, 2, 190) is None


def test_the_tail_of_a_single_worker_is_that_of_one_queue() -> None:
    config = Configuration(UVICORN_WORKER, 1)
    demand = Demand(0.010, 0.010, 0.010, 0.0, measured_as=UVICORN_WORKER)
    seen = response_at_rate(0.99, config, demand, 1, 80)
    assert seen is not None
    # 10 ms of service and the M/M/1 wait: ln(0.8 / 0.01) / 20.
    assert seen.value == pytest.approx(0.010 + 0.2191, rel=1e-3)
    assert seen.low == seen.high


def test_slots_queue_too() -> None:
    waiting = Demand(0.0005, 0.0005, 0.0005, 0.040, measured_as=SYNC)
    assert response_at_rate(0.99, Configuration(SYNC, 2), waiting, 2, 60) is None
    assert response_at_rate(0.99, Configuration(SYNC, 8), waiting, 2, 60) is not None


def test_what_comes_seldom_pays_for_waking_up_and_a_busy_core_does_not() -> None:
    config = Configuration(UVICORN_WORKER, 1)
    waking = Demand(0.001, 0.001, 0.001, 0.020, measured_as=UVICORN_WORKER, wake_s=0.001)

    def longer(rate_rps: float) -> float:
        woken = response_at_rate(0.5, config, waking, 1, rate_rps)
        blind = response_at_rate(0.5, config, replace(waking, wake_s=0.0), 1, rate_rps)
        assert woken is not None
        assert blind is not None
        return woken.value - blind.value

    assert longer(1) == pytest.approx(0.001, rel=0.01)
    assert longer(1) > longer(50) > longer(300) > 0


def test_workers_with_queues_of_their_own_may_keep_a_request_longer_than_a_pool() -> None:
    demand = Demand(0.010, 0.010, 0.010, 0.0, measured_as=UVICORN_WORKER)
    loops, pool = (
        response_at_rate(0.99, Configuration(each, 2), replace(demand, measured_as=each), 2, 150)
        for each in (UVICORN_WORKER, SYNC)
    )
    assert loops is not None
    assert pool is not None
    # Each of the two is an M/M/1 queue of 75 a second: ln(0.75 / 0.01) / 25 of waiting.
    assert loops.high == pytest.approx(0.010 + 0.1727, rel=1e-3)
    assert loops.low < 0.75 * loops.high
    assert pool.low == pool.high
