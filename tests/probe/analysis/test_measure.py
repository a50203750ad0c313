"""From windows to the document, on windows whose answer is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from advisor.documents import Cacheable, Cost, HttpFacts, Server, Target, Unknown, Worker
from advisor.probe.analysis import measure
from advisor.probe.analysis.observation import Load, Observation, OpenLoad, Window
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


def document(seen: Observation, routes: dict[str, float] | None = None) -> measure.Measurement:
    return measure.measurement(
        seen,
        target=Target(
            url="http://127.0.0.1:8000/",
            pid=10,
            server="gunicorn",
            worker_class=None,
            workers=2,
            threads=1,
            through=["nginx"],
        ),
        routes=routes or {"/": 1.0},
        errors={1: 3},
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
        holdings=None,
        interface=None,
        cost=Cost(requests=1, duration_s=1, client_cpu_s=1, server_cpu_s=1),
        unknown=[Unknown(what="disk", why="denied", remedy="root")],
    )


def test_the_demand_is_the_cpu_at_the_knee_without_an_apps_background_work() -> None:
    made = document(observation())
    assert made.cpu_per_request_s is not None
    assert made.cpu_per_request_s.value == pytest.approx((1.6 - 0.05) / 1000)
    # A server's own housekeeping is part of what it costs to serve.
    quiet = document(observation(idle_cores=0.01)).cpu_per_request_s
    assert quiet is not None
    assert quiet.value == pytest.approx(1.6 / 1000)
    assert made.cpu_per_request_s.n == 4000


def test_windows_that_agree_do_not_make_a_demand_certain() -> None:
    demand = document(observation()).cpu_per_request_s
    assert demand is not None
    assert 1.05 * demand.value < demand.high < 1.25 * demand.value


def test_servers_that_mostly_sleep_are_less_sure() -> None:
    def width(cores: float) -> float:
        load = Load(8, (window(1000, (cores, 0.0)),) * 4, (0.02,) * 4000)
        demand = document(observation(knee=load, idle_cores=0.0)).cpu_per_request_s
        assert demand is not None
        return (demand.high - demand.low) / demand.value

    assert width(1.8) < width(0.5) < width(0.1)


def test_visits_that_agree_make_it_surer_and_visits_that_differ_less_sure() -> None:
    top = observation().knee
    assert top is not None
    other = replace(top, windows=(window(1000, (1.8, 0.4)),) * 4)

    def width(*visits: Load) -> float:
        demand = document(observation(visits=visits)).cpu_per_request_s
        assert demand is not None
        return demand.high - demand.low

    assert width(top, top, top) < width(top) < width(top, other, top)


def test_a_visit_in_which_some_workers_idled_does_not_price_a_request() -> None:
    even = Load(16, (window(2000, (0.95, 0.95)),) * 4, (0.02,) * 8000)
    uneven = Load(16, (window(1000, (0.8, 0.0)),) * 4, (0.02,) * 4000)
    made = document(observation(visits=(even, uneven), idle_cores=0.0))
    assert made.cpu_per_request_s is not None
    assert made.cpu_per_request_s.value == pytest.approx(1.9 / 2000)
    assert made.throughput.knee_connections == 16
    assert made.throughput.knee_rps is not None
    assert made.throughput.knee_rps.value == pytest.approx(1500)  # both are what happens


def test_where_the_cpu_is_no_limit_every_visit_counts() -> None:
    dear = Load(16, (window(100, (0.2, 0.0)),) * 4, (0.02,) * 400)
    cheap = Load(16, (window(100, (0.1, 0.0)),) * 4, (0.02,) * 400)
    made = document(observation(visits=(dear, cheap, cheap), idle_cores=0.0))
    assert made.cpu_per_request_s is not None
    assert made.cpu_per_request_s.value == pytest.approx(0.4 / 300)


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
    assert made.limiter.verdict == "unknown"
    assert "cannot be seen" in made.limiter.why
    assert "CPU is left" not in made.limiter.why
    assert any(gap.what.startswith("cpu_per_request_s") for gap in made.unknown)


def test_no_plateau_no_knee() -> None:
    assert document(observation(plateau=False)).throughput.knee_rps is None


def test_the_queue_is_what_is_in_flight_and_not_in_service() -> None:
    steps = document(observation()).throughput.steps
    # 100 a second of 10 ms are one in service; 1,000 would be ten, and eight connections do not
    # hold as many.
    assert [step.queue for step in steps] == [0.0, 0.0]
    crowded = replace(observation().steps[1], connections=64)
    made = document(observation(steps=(observation().steps[0], crowded)))
    assert made.throughput.steps[1].queue == pytest.approx(54)


def test_the_open_loop_gives_the_latencies_and_says_how_late_it_was() -> None:
    quick = Load(64, (window(500, (0.3, 0.3)),) * 3, (0.004,) * 1500)
    made = document(observation(open_load=OpenLoad(500.0, 0.5, quick, offered=1500, late=300)))
    assert made.latency_s["p50"] is not None
    assert made.latency_s["p50"].value == 0.004
    assert made.throughput.open_loop is not None
    assert made.throughput.open_loop.late_ratio == 0.2
    assert made.throughput.open_loop.mean_s is not None
    assert made.throughput.open_loop.mean_s.value == pytest.approx(0.01)
    assert any("20% of the requests late" in gap.why for gap in made.unknown)


def test_event_loop_and_other_threads_are_told_apart() -> None:
    top = observation().knee
    assert top is not None
    told = replace(top, windows=tuple(replace(w, main_cpu=1.0) for w in top.windows))
    made = document(observation(knee=told))
    assert made.threads is not None
    assert made.threads.main_s.value == pytest.approx(0.001)
    assert made.threads.others_s.value == pytest.approx(0.0006)
    assert document(observation()).threads is None  # not told by this kernel


def test_routes_have_their_own_demand_and_their_latency_under_the_mix() -> None:
    lone = observation().steps[0]
    under = replace(lone, latencies=(0.01, 0.5) * 200, routes=(0, 1) * 200)
    dear = Load(2, (window(100, (0.45, 0.0), 0.02),) * 4, (0.02,) * 400)
    made = document(
        observation(steps=(under, observation().steps[1]), routes={"/cheap": lone, "/dear": dear}),
        routes={"/cheap": 3.0, "/dear": 1.0},
    )
    cheap, expensive = made.routes
    assert (cheap.weight, expensive.weight) == (0.75, 0.25)
    assert (cheap.p50_s, expensive.p50_s) == (0.01, 0.5)
    assert (cheap.errors, expensive.errors) == (0, 3)
    assert cheap.cpu_per_request_s is not None
    assert expensive.cpu_per_request_s is not None
    assert cheap.cpu_per_request_s.value == pytest.approx(0.001)
    assert expensive.cpu_per_request_s.value == pytest.approx(0.004)
    assert document(observation()).routes == []


def test_a_busy_host_is_said() -> None:
    top = observation().knee
    assert top is not None
    busy = replace(top, windows=tuple(replace(w, others_cpu=0.5) for w in top.windows))
    assert any("0.50 cores" in gap.why for gap in document(observation(knee=busy)).unknown)
    assert not any("cores meanwhile" in gap.why for gap in document(observation()).unknown)


def test_what_could_not_be_read_beside_the_load_is_said() -> None:
    assert any(gap.what == "disk" for gap in document(observation()).unknown)
