"""Predictions against what was measured (shared facts) and against what must always hold."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.model.capacity import expected, pinned, pooled, throughput, woken
from advisor.model.classes import ASGI, CLASSES, GTHREAD, SYNC, UVICORN_WORKER, WorkerClass
from advisor.model.service import CROWDED, Configuration, Demand

WAITING = Demand(0.0005, 0.00045, 0.00055, 0.040, measured_as=GTHREAD)
DJANGO = Demand(0.00073, 0.00055, 0.00095, 0.0095, measured_as=SYNC, wake_s=0.00015)
BLOCKED = Demand(0.0003, 0.0003, 0.0003, 0.0, blocked_s=0.0197, measured_as=UVICORN_WORKER)

classes = st.sampled_from([SYNC, GTHREAD, UVICORN_WORKER, ASGI])
demands = st.builds(
    lambda cpu, wait, blocked: Demand(cpu, cpu * 0.9, cpu * 1.1, wait, blocked),
    st.floats(1e-5, 0.1),
    st.floats(0, 1),
    st.floats(0, 0.1),
)
cores = st.floats(0.1, 16)
few = st.integers(1, 12)


def configuration(worker_class: WorkerClass, workers: int, threads: int) -> Configuration:
    return Configuration(worker_class, workers, threads if worker_class is GTHREAD else 1)


@pytest.mark.parametrize(
    ("workers", "threads", "measured"), [(2, 16, 384), (2, 32, 1021), (1, 64, 1510), (3, 64, 1554)]
)
def test_the_bracket_holds_what_gthread_gave_under_64_connections(
    workers: int, threads: int, measured: float
) -> None:
    seen = throughput(Configuration(GTHREAD, workers, threads), WAITING, 2, 64)
    assert seen.low * 0.97 <= measured <= seen.high * 1.03


@pytest.mark.parametrize("measured", [244, 387])
def test_the_bracket_holds_what_eight_blocked_loops_gave(measured: float) -> None:
    seen = throughput(Configuration(UVICORN_WORKER, 8), BLOCKED, 2, 64)
    assert seen.low < measured < seen.high


def test_sync_workers_serve_one_request_each() -> None:
    sync = Demand(0.0003, 0.0003, 0.0003, 0.040, measured_as=SYNC)
    seen = throughput(Configuration(SYNC, 5), sync, 2, 64)
    assert seen.value == pytest.approx(5 / 0.0403, rel=0.01)


def test_a_blocked_loop_serves_one_request_at_a_time() -> None:
    alone = throughput(Configuration(UVICORN_WORKER, 1), BLOCKED, 2, 64)
    assert alone.value == pytest.approx(1 / 0.020, rel=0.001)
    mended = throughput(Configuration(UVICORN_WORKER, 1), BLOCKED.mended(), 2, 64)
    assert mended.value > 40 * alone.value


def test_a_loop_whose_app_takes_on_a_few_requests_gains_by_workers() -> None:
    tokens = Demand(0.0003, 0.0003, 0.0003, 0.050, measured_as=UVICORN_WORKER, slots=40)
    one = pooled(Configuration(UVICORN_WORKER, 1), tokens, 2, 400)
    assert one == pytest.approx(40 / 0.0503, rel=0.02)
    assert pooled(Configuration(UVICORN_WORKER, 3), tokens, 2, 400) == pytest.approx(
        3 * one, rel=0.05
    )
    assert pooled(Configuration(UVICORN_WORKER, 1), tokens.mended(), 2, 400) > 3 * one


def test_one_worker_computes_on_one_core() -> None:
    computing = Demand(0.001, 0.001, 0.001, 0.0, measured_as=GTHREAD)
    # One thread hands the interpreter over to the next, and that takes its time.
    one = throughput(Configuration(GTHREAD, 1, 8), computing, 4, 8).value
    assert 900 < one < 1000
    assert throughput(Configuration(GTHREAD, 1, 64), computing, 4, 64).value < one
    assert throughput(Configuration(GTHREAD, 1, 8), computing, 0.25, 8).value == pytest.approx(250)


def test_another_class_is_priced_by_the_table() -> None:
    page = Demand(0.0001, 0.0001, 0.0001, 0.0, measured_as=UVICORN_WORKER)
    assert page.under(ASGI).cpu_s == pytest.approx(0.000106)
    assert page.under(UVICORN_WORKER) == page
    assert page.under(GTHREAD).under(SYNC).cpu_s == pytest.approx(page.cpu_s)


def test_a_request_pays_for_waking_up_where_cores_rest() -> None:
    seen = Demand(0.001, 0.0009, 0.0011, 0.020, measured_as=UVICORN_WORKER, wake_s=0.001)
    one = Configuration(UVICORN_WORKER, 1)
    few, many = woken(one, seen, 1, 1), woken(one, seen, 1, 500)
    # 20 ms of rest for each request: five sixths of it.
    assert few.cpu_s == pytest.approx(0.001 + 0.001 * 20 / 24, rel=0.01)
    assert many.cpu_s == pytest.approx(0.001, rel=0.01)
    assert few.wake_s == many.wake_s == 0
    assert few.cpu_high_s - few.cpu_low_s == pytest.approx(0.0002)
    blind = replace(seen, wake_s=0.0)
    assert throughput(one, seen, 1, 1).value < throughput(one, blind, 1, 1).value


def test_one_connection_pays_for_each_nap_and_a_full_worker_takes_none() -> None:
    seen = Demand(0.0002, 0.00018, 0.00022, 0.00005, measured_as=UVICORN_WORKER, nap_s=0.00006)
    one = Configuration(UVICORN_WORKER, 1)
    alone, full = woken(one, seen, 1, 1), woken(one, seen, 1, 64)
    assert alone.cpu_s == pytest.approx(0.00026, rel=0.01)
    assert full.cpu_s == pytest.approx(0.0002, rel=0.01)
    assert alone.nap_s == full.nap_s == 0


def test_requests_in_step_wait_for_all_the_others_until_the_cores_are_full() -> None:
    """`def` routes that sleep for 50 ms: 64 ms with 32 requests, where 51 was due."""
    seen = Demand(0.0006, 0.0006, 0.0006, 0.050, measured_as=UVICORN_WORKER)
    one = Configuration(UVICORN_WORKER, 1)
    free, held = (expected(one, replace(seen, lockstep=how), 1, 32) for how in (0.0, 1.0))
    assert 32 / free == pytest.approx(0.051, rel=0.02)
    assert 32 / held == pytest.approx(0.064, rel=0.06)
    full = [expected(one, replace(seen, lockstep=how), 1, 500) for how in (0.0, 1.0)]
    assert full[1] == pytest.approx(full[0], rel=0.02)
    alone = [expected(one, replace(seen, lockstep=how), 1, 1) for how in (0.0, 1.0)]
    assert alone[1] == pytest.approx(alone[0])
    # What blocks its loop, and what serves one by one, is never in step.
    blocks = replace(seen, wait_s=0.0, blocked_s=0.050)
    for config, demand in ((one, blocks), (Configuration(SYNC, 8), seen)):
        stays = expected(config, replace(demand, lockstep=1.0), 1, 8)
        assert stays == expected(config, demand, 1, 8)


def test_one_process_of_many_pays_though_no_core_rests() -> None:
    seen = Demand(0.00075, 0.0007, 0.0008, 0.010, measured_as=SYNC, wake_s=0.0003)
    many = Configuration(SYNC, 48)
    assert woken(many, seen, 2, 500).cpu_s == pytest.approx(0.00075 + 0.00015 * 46 / 48, rel=0.01)
    # Loops too, by half of what the rest would cost: here 30 x 0.75 ms / 2, less their own, and
    # less what any crowd costs, which the CPU's bound holds already.
    crowd = 0.08 * 28 / 30 * 0.00075
    loops = Configuration(UVICORN_WORKER, 30)
    waits = replace(seen, measured_as=UVICORN_WORKER)
    cold = woken(loops, waits, 2, 500).cpu_s - 0.00075
    assert cold == pytest.approx(0.00015 * 28 / 30 * 0.73 - crowd, rel=0.05)
    # A host that wakes slowly has no colder caches.
    slowly = woken(loops, replace(waits, wake_s=0.002), 2, 500).cpu_s - 0.00075
    assert slowly + crowd == pytest.approx((cold + crowd) * 0.0007 / 0.0003, rel=0.05)
    # A lone worker's threads stay on the core that it has.
    threads = Configuration(GTHREAD, 1, 64)
    paid = woken(threads, seen, 2, 500).cpu_s - seen.under(GTHREAD).cpu_s
    assert paid == pytest.approx(0, abs=0.00001)


@pytest.mark.parametrize(
    ("worker_class", "workers", "threads", "measured", "off"),
    [
        (SYNC, 1, 1, 79, 0.25),
        (SYNC, 24, 1, 1694, 0.2),
        (SYNC, 47, 1, 2115, 0.1),
        (GTHREAD, 1, 64, 1155, 0.1),
        (GTHREAD, 2, 64, 1666, 0.15),
        (GTHREAD, 3, 32, 2164, 0.1),
    ],
)
def test_a_django_page_of_10_ms_at_48_connections(
    worker_class: WorkerClass, workers: int, threads: int, measured: float, off: float
) -> None:
    """Launches of one run, over wrk's own connections, on two cores that it shared.

    `off` is what the model misses; what is printed holds them all. 880 µs of CPU on idle workers,
    9.5 ms of waiting. The model's wake-up and hand-over times were set with these figures known,
    so this holds them in place and does not validate them.
    """
    predicted = throughput(Configuration(worker_class, workers, threads), DJANGO, 2, 48)
    assert predicted.value == pytest.approx(measured, rel=off)
    assert predicted.missed().low <= measured <= predicted.missed().high


@pytest.mark.parametrize(
    ("worker_class", "workers", "threads", "measured", "off"),
    [
        (SYNC, 8, 1, 372, 0.1),
        (SYNC, 48, 1, 1730, 0.1),
        (GTHREAD, 1, 16, 697, 0.1),
        (GTHREAD, 1, 32, 1132, 0.15),
        (GTHREAD, 2, 32, 1541, 0.1),
        (GTHREAD, 4, 32, 1855, 0.1),
    ],
)
def test_a_flask_page_of_20_ms_behind_nginx_at_64_connections(
    worker_class: WorkerClass, workers: int, threads: int, measured: float, off: float
) -> None:
    """One launch each of the regret benchmark's grid; two cores that wrk and nginx shared."""
    seen = Demand(
        *(0.00092, 0.00035, 0.00126, 0.0198),
        measured_as=SYNC,
        wake_s=0.00013,
        hop_s=0.00008,
        proxy_s=0.00002,
    )
    predicted = throughput(Configuration(worker_class, workers, threads), seen, 2, 64)
    assert predicted.value == pytest.approx(measured, rel=off)


def test_a_class_that_costs_less_never_makes_a_request_free() -> None:
    small = Demand(0.000005, 0.000005, 0.000005, 0.0, measured_as=ASGI)
    assert small.under(UVICORN_WORKER).cpu_s == pytest.approx(0.000001)


def test_uvicorn_and_its_worker_cost_the_same() -> None:
    assert CLASSES["uvicorn"].cost_s == CLASSES["uvicorn_worker.UvicornWorker"].cost_s


@given(classes, few, few, demands, cores, st.integers(1, 200))
def test_pinned_is_never_above_pooled_and_the_value_lies_between(
    worker_class: WorkerClass, n: int, threads: int, demand: Demand, c: float, load: int
) -> None:
    config = configuration(worker_class, n, threads)
    assert pinned(config, demand, c, load) <= pooled(config, demand, c, load) * (1 + 1e-9)
    seen = throughput(config, demand, c, load)
    assert 0 < seen.low <= seen.value <= seen.high


@given(classes, few, few, demands, cores, st.integers(1, 200))
def test_throughput_never_exceeds_cpu_slots_or_load(
    worker_class: WorkerClass, n: int, threads: int, demand: Demand, c: float, load: int
) -> None:
    config = configuration(worker_class, n, threads)
    got = pooled(config, demand, c, load)
    assert got <= min(c, n) / demand.cpu_s * (1 + 1e-6)
    assert got <= min(load, n * config.slots(demand, load)) / demand.total_s * (1 + 1e-6)


@given(classes, few, few, demands, cores, st.integers(1, 200))
def test_another_worker_lowers_the_pooled_throughput_by_taking_turns_at_most(
    worker_class: WorkerClass, n: int, threads: int, demand: Demand, c: float, load: int
) -> None:
    fewer, more = (configuration(worker_class, count, threads) for count in (n, n + 1))
    assert pooled(more, demand, c, load) >= pooled(fewer, demand, c, load) / (1 + CROWDED)


def test_a_downstream_ceiling_caps_the_prediction() -> None:
    capped = Demand(0.0005, 0.0005, 0.0005, 0.040, measured_as=GTHREAD, ceiling_rps=300)
    assert throughput(Configuration(GTHREAD, 2, 64), capped, 2, 64).value == 300


def loops_that_block(loops: int, blocked_s: float, cpu_s: float, cores: int) -> float:
    """Requests/s of loops that block and then want a core, drawn one event after the other."""
    draw, now, served = random.Random(3), 0.0, 0
    woken = [(draw.expovariate(1 / blocked_s), loop) for loop in range(loops)]
    heapq.heapify(woken)
    free = [0.0] * cores
    while served < 20_000:
        wants, loop = heapq.heappop(woken)
        now = max(wants, heapq.heappop(free)) + draw.expovariate(1 / cpu_s)
        heapq.heappush(free, now)
        heapq.heappush(woken, (now + draw.expovariate(1 / blocked_s), loop))
        served += 1
    return served / now


@pytest.mark.parametrize("workers", [8, 20, 25, 40])
def test_loops_that_block_leave_cores_idle_before_they_are_too_few(workers: int) -> None:
    demand = Demand(0.0017, 0.0017, 0.0017, 0.0, blocked_s=0.020, measured_as=UVICORN_WORKER)
    crowded = 0.0017 * (1 + CROWDED * (1 - 2 / workers))
    seen = loops_that_block(workers, 0.020, crowded, 2)
    config = Configuration(UVICORN_WORKER, workers)
    assert pooled(config, demand, 2, 500) == pytest.approx(seen, rel=0.03)
    # Fewer connections reach fewer of the loops: some hold none.
    assert expected(config, demand, 2, 2 * workers) < 0.99 * pooled(config, demand, 2, 2 * workers)


def test_a_full_cpu_spreads_connections_over_many_loops_and_an_idle_one_does_not() -> None:
    """The same 16 of 24 pools' worth: 1,400 requests/s of 12 loops that compute 1.35 ms each."""
    full = Demand(0.00135, 0.0013, 0.0014, 0.020, measured_as=UVICORN_WORKER, slots=5)
    idle = full.at("cpu", 0.0002)

    def reached(demand: Demand, workers: int) -> float:
        config = Configuration(UVICORN_WORKER, workers)
        return expected(config, demand, 2, 64) / pooled(config, demand, 2, 64)

    assert reached(full, 16) > 0.9
    assert reached(idle, 16) < 0.75
    twelve, many = (throughput(Configuration(UVICORN_WORKER, w), full, 2, 64) for w in (12, 58))
    # 16 launches of 12 (Uvicorn's and asgi's) served 0.82 and 0.95 of as many of 45.
    assert 0.82 < twelve.value / many.value < 0.95


def test_loops_that_hand_requests_to_threads_share_evenly() -> None:
    """64 connections on 3 loops' 40 threads each fell as evenly as draws do, in 8 launches."""
    tokens = Demand(0.00115, 0.0011, 0.0012, 0.050, measured_as=UVICORN_WORKER, slots=40)
    for workers in (4, 6, 8):
        config = Configuration(UVICORN_WORKER, workers)
        even = expected(config, replace(tokens, in_threads=True), 2, 64)
        assert even > 1.02 * expected(config, tokens, 2, 64)
        assert even == pytest.approx(pooled(config, tokens, 2, 64), rel=0.1)


@pytest.mark.parametrize(
    ("workers", "seen"), [(8, 935), (12, 1122), (16, 1150), (24, 1229), (45, 1275)]
)
def test_requests_in_few_pools_leave_the_cpu_idle_now_and_then(workers: int, seen: int) -> None:
    """The means of 16 launches each, half Uvicorn's and half asgi's, of loops that pool five."""
    pools = Demand(
        *(0.00119, 0.00115, 0.00125, 0.020),
        measured_as=UVICORN_WORKER,
        slots=5,
        wake_s=0.00057,
        lockstep=1.0,
        hop_s=0.000012,
        proxy_s=0.000015,
    )
    got = throughput(Configuration(UVICORN_WORKER, workers), pools, 2, 64)
    assert got.value == pytest.approx(seen, rel=0.08)


def test_threads_that_compute_keep_two_workers_busy_where_those_that_wait_do_not() -> None:
    """2 x 4 of a page that computes gave 1.32 times what two sync workers did."""
    page = Demand(0.0006, 0.0006, 0.0006, 0.0, measured_as=SYNC, hop_s=0.00003, proxy_s=0.00004)
    waits = replace(page, wait_s=0.020)
    threads, sync = Configuration(GTHREAD, 2, 4), Configuration(SYNC, 2)
    computing = expected(threads, page.under(GTHREAD), 2, 64)
    assert computing > 0.95 * pooled(threads, page.under(GTHREAD), 2, 64)
    assert computing > 1.1 * expected(sync, page, 2, 64)
    many = replace(threads, threads=32)
    assert expected(many, waits, 2, 64) < 0.9 * pooled(many, waits, 2, 64)


def test_threads_that_wait_stay_cold_on_two_cores_and_not_on_one() -> None:
    """4 x 32 served 1,690 requests/s, of 1.05 ms each that took 0.7 on one core."""
    seen = Demand(0.0007, 0.0007, 0.0007, 0.020, measured_as=GTHREAD, wake_s=0.0008)
    config = Configuration(GTHREAD, 4, 32)
    extra = woken(config, seen, 2, 64).cpu_s - seen.cpu_s
    assert extra == pytest.approx(0.0003, rel=0.1)
    assert expected(config, woken(config, seen, 2, 64), 2, 64) == pytest.approx(1690, rel=0.15)
    alone = replace(config, workers=1)
    assert woken(alone, seen, 1, 64).cpu_s - seen.cpu_s < 0.0001
    page = replace(seen, wait_s=0.0)
    assert woken(config, page, 2, 64).cpu_s - seen.cpu_s < 0.0001


def test_a_proxys_hop_lengthens_a_response_until_others_fill_the_slot_meanwhile() -> None:
    seen = Demand(0.0001, 0.0001, 0.0001, 0.010, measured_as=UVICORN_WORKER)
    slow = replace(seen, hop_s=0.005)
    one = Configuration(UVICORN_WORKER, 1)
    assert pooled(one, slow, 2, 1) == pytest.approx(1 / 0.0151, rel=0.001)
    few = (replace(each, slots=2) for each in (seen, slow))
    without, behind = (pooled(one, each, 2, 16) for each in few)
    assert behind == without


def test_of_idle_loops_that_pool_a_few_are_kept_busy() -> None:
    """64 connections kept 6 of 24 workers' pools of five busy: 30 of 64 requests in service."""
    idle = Demand(0.0002, 0.0002, 0.0002, 0.020, measured_as=UVICORN_WORKER, slots=5)
    got = expected(Configuration(UVICORN_WORKER, 24), idle, 2, 64)
    assert got == pytest.approx(30 / 0.0202, rel=0.25)


def test_few_connections_do_not_crowd_on_one_loop_that_blocks() -> None:
    """It is away from its socket until their burst is over, though it is idle most of the time."""
    config = Configuration(UVICORN_WORKER, 16)
    assert expected(config, BLOCKED, 2, 4) > 0.85 * pooled(config, BLOCKED, 2, 4)


def test_requests_that_come_together_pay_for_waking_up_once() -> None:
    seen = Demand(0.001, 0.001, 0.001, 0.020, measured_as=UVICORN_WORKER, slots=5, wake_s=0.0008)
    one = Configuration(UVICORN_WORKER, 1)
    apart, together = (
        woken(one, replace(seen, lockstep=how), 2, 64).cpu_s - 0.001 for how in (0.0, 1.0)
    )
    assert 0.0003 < apart < 0.0005
    assert together < apart / 2
