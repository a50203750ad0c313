"""From windows to the document, on windows whose answer is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from advisor.documents import Cacheable, Cost, HttpFacts, Server, Worker
from advisor.probe.analysis import measure
from advisor.probe.analysis.observation import Load, Observation, Window
from advisor.probe.sample.waits import Waits

WORKERS = [Worker(pid=11, pss_bytes=30, uss_bytes=20), Worker(pid=12, pss_bytes=30, uss_bytes=20)]
SERVER = Server(
    kind="gunicorn",
    version="27.0.1",
    pid=10,
    app="shop:app",
    listen=[],
    worker_class="uvicorn_worker.UvicornWorker",
    threads=1,
    workers=WORKERS,
)


def window(completed: int, cpu: tuple[float, float], response_s: float = 0.01) -> Window:
    return Window(
        seconds=1.0,
        completed=completed,
        errors=0,
        latency_sum=completed * response_s,
        server_cpu={11: cpu[0], 12: cpu[1]},
        client_cpu=0.05,
        others_cpu=0.0,
        steal=0.0,
        run_queue_wait=completed * 0.0005,
    )


def observation(**more: object) -> Observation:
    lone = Load(1, (window(100, (0.15, 0.0)),) * 4, (0.01,) * 400)
    top = Load(8, (window(1000, (1.2, 0.4)),) * 4, (0.02,) * 4000)
    base = Observation(
        server=SERVER,
        steps=(lone, top),
        idle_cores=0.05,
        cores=2,
        host_cores=2,
        shares_limit=False,
        plateau=True,
        stopped="",
        knee=top,
        client_overhead_s=0.0001,
    )
    return replace(base, **more)


def document(seen: Observation) -> measure.Measurement:
    return measure.measurement(
        seen,
        url="http://127.0.0.1:8000/",
        through=["nginx"],
        http=[
            HttpFacts(
                path="/",
                status=200,
                content_type=None,
                bytes=1,
                compressed=False,
                compressible_ratio=None,
                stable=True,
                microcache=Cacheable(value=False, why="a test"),
            )
        ],
        workers=WORKERS,
        cost=Cost(requests=1, duration_s=1, client_cpu_s=1, server_cpu_s=1),
        unknown=[],
    )


def test_the_demand_is_the_cpu_at_the_knee_without_what_the_server_burns_idle() -> None:
    made = document(observation())
    assert made.cpu_per_request_s is not None
    assert made.cpu_per_request_s.value == pytest.approx((1.6 - 0.05) / 1000)
    assert made.cpu_per_request_s.n == 4000


def test_windows_that_agree_do_not_make_a_demand_certain() -> None:
    demand = document(observation()).cpu_per_request_s
    assert demand is not None
    assert demand.high == pytest.approx(1.08 * demand.value)
    assert demand.low == pytest.approx(0.92 * demand.value)


def test_the_wait_is_what_of_a_lone_response_nothing_else_explains() -> None:
    made = document(observation())
    assert made.wait_per_request_s is not None
    expected = 0.01 - (0.15 - 0.05) / 100 - 0.0005 - 0.0001
    assert made.wait_per_request_s.value == pytest.approx(expected)


def test_blocking_is_the_share_of_samples_outside_the_selector() -> None:
    lone = replace(
        observation().steps[0],
        waits=Waits({11: Counter(ep_poll=300, hrtimer_nanosleep=90, running=10)}),
    )
    made = document(observation(steps=(lone, observation().steps[1])))
    assert made.blocked_per_request_s is not None
    assert made.blocked_per_request_s.value == pytest.approx(90 / 400 * 0.01)
    assert made.blocked_per_request_s.low < made.blocked_per_request_s.value


def test_hidden_waits_are_unknown_with_a_remedy() -> None:
    made = document(observation())
    assert made.blocked_per_request_s is None
    assert any(gap.what == "blocked_per_request_s" and gap.remedy for gap in made.unknown)


def test_the_shares_are_of_the_cpu_at_the_knee() -> None:
    assert [worker.share_ratio for worker in document(observation()).workers] == [0.75, 0.25]


def test_the_latency_is_from_a_step_below_half_the_knee() -> None:
    made = document(observation())
    assert made.latency_s["p50"] is not None
    assert made.latency_s["p50"].value == 0.01
    assert made.latency_s["p99"] is None  # 400 samples do not carry it


def test_without_processes_nothing_is_said_of_them() -> None:
    made = document(observation(server=None))
    assert made.cpu_per_request_s is None
    assert made.wait_per_request_s is None
    assert made.throughput.steps[0].server_cpu_cores is None
    assert made.target.through == ["nginx"]
    assert any(gap.what == "cpu_per_request_s" for gap in made.unknown)


def test_no_plateau_no_knee() -> None:
    assert document(observation(plateau=False)).throughput.knee_rps is None
