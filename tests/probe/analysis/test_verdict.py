from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from advisor.documents import Limiter, Server, Worker
from advisor.probe.analysis.observation import Load, Observation, Window, is_event_loop
from advisor.probe.analysis.verdict import judge
from advisor.probe.sample.canary import Canary
from advisor.probe.sample.stacks import Frame, Place, Stacks
from advisor.probe.sample.waits import Waits


def server(worker_class: str, workers: int = 1, threads: int = 1) -> Server:
    return Server(
        kind="gunicorn",
        version="27.0.1",
        pid=100,
        app="shop:app",
        listen=["127.0.0.1:8000"],
        worker_class=worker_class,
        threads=threads,
        workers=[
            Worker(pid=101 + number, pss_bytes=None, uss_bytes=None) for number in range(workers)
        ],
    )


def load(
    connections: int,
    rps: float,
    *,
    response_s: float,
    cores: tuple[float, ...] = (0.1,),
    client: float = 0.05,
    others: float = 0.0,
    errors: int = 0,
    **more: Any,
) -> Load:
    completed = round(rps)
    queued = more.pop("queued", 0.0)
    window = Window(
        seconds=1.0,
        completed=completed,
        errors=errors,
        latency_sum=completed * response_s,
        server_cpu={101 + number: used for number, used in enumerate(cores)},
        client_cpu=client,
        others_cpu=others,
        steal=more.pop("steal", 0.0),
        run_queue_wait=queued,
        main_cpu=more.pop("main", None),
    )
    return Load(connections=connections, windows=(window,), latencies=(), **more)


def seen(who: Server | None, alone: Load, top: Load, **more: Any) -> Observation:
    base = Observation(
        server=who,
        steps=(alone, top),
        idle_cores=0.0,
        cores=2.0,
        host_cores=2,
        shares_limit=False,
        plateau=True,
        stopped="the rate stopped growing",
        knee=top,
    )
    return replace(base, **more)


def waits(**channels: int) -> Waits:
    return Waits({101: Counter(channels)})


UVICORN, SYNC, GTHREAD = server("uvicorn"), server("sync", 5), server("gthread", 2, 4)
LONE = load(1, 50, response_s=0.02)
IDLE_LOOP = waits(ep_poll=95, running=5)

CASES = {
    "all cores used": (
        "cpu",
        seen(server("uvicorn", 2), LONE, load(8, 8000, response_s=0.001, cores=(0.9, 0.9))),
    ),
    "all of a quota used": (
        "cpu",
        seen(UVICORN, LONE, load(8, 900, response_s=0.01, cores=(0.49,)), cores=0.5),
    ),
    "what others leave is used": (
        "cpu",
        seen(UVICORN, LONE, load(8, 900, response_s=0.01, cores=(0.85,), others=1.05)),
    ),
    "one process on two cores": (
        "concurrency",
        seen(UVICORN, LONE, load(8, 5000, response_s=0.002, cores=(0.99,))),
    ),
    "one of two workers does it all": (
        "concurrency",
        seen(server("gthread", 2, 4), LONE, load(8, 5000, response_s=0.002, cores=(0.99, 0.01))),
    ),
    "sync workers all wait": (
        "concurrency",
        seen(SYNC, LONE, load(32, 245, response_s=0.13)),
    ),
    "threads all wait": (
        "concurrency",
        seen(GTHREAD, LONE, load(32, 390, response_s=0.08)),
    ),
    "the threads of one worker all wait, the other's have nothing to do": (
        "concurrency",
        seen(GTHREAD, LONE, load(16, 250, response_s=0.06, cores=(0.4, 0.1))),
    ),
    "threads of no worker are all taken": (
        "unknown",
        seen(GTHREAD, LONE, load(16, 250, response_s=0.06, cores=(0.25, 0.25))),
    ),
    "sync workers that were unlike": (
        "unknown",
        seen(SYNC, LONE, load(16, 100, response_s=0.16, cores=(0.2, 0.05, 0.05, 0.05, 0.05))),
    ),
    "forty tokens": (
        "concurrency",
        seen(UVICORN, LONE, load(256, 1950, response_s=0.13, waits=IDLE_LOOP, downstream=0)),
    ),
    "a pool of five": (
        "concurrency",
        seen(UVICORN, LONE, load(32, 245, response_s=0.13, waits=IDLE_LOOP, downstream=5)),
    ),
    "a slow downstream of an async app": (
        "downstream",
        seen(UVICORN, LONE, load(32, 245, response_s=0.13, waits=IDLE_LOOP, downstream=32)),
    ),
    "a slow downstream of a sync app": (
        "downstream",
        seen(SYNC, LONE, load(32, 100, response_s=0.32, downstream=5)),
    ),
    "a loop that sleeps": (
        "event-loop-blocked",
        seen(
            UVICORN,
            LONE,
            load(8, 50, response_s=0.16, waits=waits(hrtimer_nanosleep=97, ep_poll=3)),
        ),
    ),
    "a loop that waits for a lock while nobody computes": (
        "event-loop-blocked",
        seen(
            UVICORN,
            LONE,
            load(8, 50, response_s=0.16, main=0.05, waits=waits(futex_do_wait=97, ep_poll=3)),
        ),
    ),
    "a loop that its thread pool keeps from the interpreter's lock": (
        "concurrency",
        seen(
            UVICORN,
            LONE,
            load(
                256,
                1500,
                response_s=0.17,
                cores=(0.7,),
                main=0.4,
                waits=waits(futex_do_wait=40, ep_poll=30, running=30),
                downstream=0,
            ),
        ),
    ),
    "a loop that computes is not blocked": (
        "concurrency",
        seen(UVICORN, LONE, load(8, 50, response_s=0.16, cores=(0.99,), waits=waits(running=100))),
    ),
    "a loop nobody may look at": (
        "unknown",
        seen(UVICORN, LONE, load(8, 50, response_s=0.16, waits=Waits({}), downstream=None)),
    ),
    "the generator": (
        "client",
        seen(
            server("granian", 2), LONE, load(64, 20000, response_s=0.003, cores=(0.4,), client=0.95)
        ),
    ),
    "still growing": (
        "unknown",
        seen(UVICORN, LONE, load(1024, 5000, response_s=0.02, cores=(0.5,)), plateau=False),
    ),
    "stolen": (
        "unknown",
        seen(UVICORN, LONE, load(8, 5000, response_s=0.002, cores=(0.9,), steal=0.2)),
    ),
    "errors": (
        "unknown",
        seen(UVICORN, LONE, load(8, 5000, response_s=0.002, cores=(1.9,), errors=200)),
    ),
    "throttled below the quota": (
        "unknown",
        seen(UVICORN, LONE, load(8, 500, response_s=0.02, cores=(0.3,), throttled_s=0.4)),
    ),
    "a worker that ended": (
        "unknown",
        seen(UVICORN, LONE, load(8, 5000, response_s=0.002), changed="process 101 ended"),
    ),
    "others' traffic": (
        "unknown",
        seen(UVICORN, LONE, LONE, knee=None, plateau=False, no_knee="others use the app"),
    ),
    "processes nobody knows": (
        "unknown",
        seen(None, LONE, load(8, 100, response_s=0.08, cores=())),
    ),
}


@pytest.mark.parametrize(("expected", "observation"), CASES.values(), ids=CASES)
def test_verdicts(expected: str, observation: Observation) -> None:
    limiter = judge(observation)
    assert limiter.verdict == expected, limiter
    assert limiter.why
    assert (limiter.confidence > 0) == (expected != "unknown")


def test_a_plateau_that_leaves_a_tenth_of_the_cpu_is_never_cpu() -> None:
    for used in (0.5, 1.0, 1.5, 1.7):
        top = load(8, 900, response_s=0.01, cores=(used / 2, used / 2), client=0.1)
        assert judge(seen(server("uvicorn", 2), LONE, top)).verdict != "cpu"


def test_workers_that_are_always_ready_to_run_are_limited_by_cpu_however_they_are_placed() -> None:
    """Measured: two sync workers beside the generator on two cores; a third gave 2 to 4 % more."""
    sync = server("sync", 2)
    top = load(16, 5500, response_s=0.003, cores=(0.71, 0.69), client=0.4, queued=0.42)
    limiter = judge(seen(sync, LONE, top))
    assert limiter.verdict == "cpu"
    assert limiter.evidence["run_queue_cores"] == 0.42
    assert "ready to run 91% of the time" in limiter.why
    idle = load(16, 5500, response_s=0.003, cores=(0.71, 0.69), client=0.4, queued=0.1)
    assert judge(seen(sync, LONE, idle)).verdict != "cpu"
    half = load(16, 5500, response_s=0.003, cores=(0.6, 0.6), client=0.1, queued=0.7)
    assert judge(seen(sync, LONE, half)).verdict != "cpu"
    # One worker of two asks for a core and a half: its neighbour idles.
    one_sided = load(16, 5500, response_s=0.003, cores=(0.95, 0.4), client=0.4, queued=0.3)
    assert judge(seen(sync, LONE, one_sided)).verdict != "cpu"


def test_workers_that_wait_for_nobody_but_the_client_are_limited_by_cpu() -> None:
    """Measured: 150 MB a worker, two of them beside the generator on two cores."""
    sync = server("sync", 2)

    def lone(rps: float, response_s: float, cores: tuple[float, ...]) -> Load:
        once = load(1, rps, response_s=response_s, cores=cores)
        return replace(once, windows=once.windows * 3)

    alone = lone(1500, 0.00068, (0.5, 0.5))
    top = load(16, 2800, response_s=0.0055, cores=(0.62, 0.6), client=0.45, queued=0.1)
    limiter = judge(seen(sync, alone, top))
    assert limiter.verdict == "cpu"
    assert "waits for nothing but its 0.67 ms of CPU" in limiter.why
    hurried = judge(seen(sync, alone, top, plateau=False, stopped="its time was up"))
    assert hurried.verdict == "cpu"
    assert hurried.confidence < limiter.confidence
    early = load(2, 2300, response_s=0.0009, cores=(0.62, 0.6), client=0.45)
    assert judge(seen(sync, alone, early, plateau=False)).verdict == "unknown"
    pinned = load(16, 2800, response_s=0.0055, cores=(0.9, 0.3), client=0.45)
    assert judge(seen(sync, alone, pinned)).verdict == "concurrency"
    # One that waits may wait more under load; one worker leaves a core idle; and half idles.
    waits_too = lone(1000, 0.001, (0.33, 0.33))
    assert judge(seen(sync, waits_too, top)).verdict == "concurrency"
    single = load(16, 1400, response_s=0.011, cores=(0.62,), client=0.45)
    assert judge(seen(server("sync", 1), alone, single)).verdict == "concurrency"
    half = load(16, 2000, response_s=0.0055, cores=(0.45, 0.45), client=0.45)
    assert judge(seen(sync, alone, half)).verdict == "unknown"


def test_connections_that_landed_badly_in_the_doubling_do_not_hide_a_full_cpu() -> None:
    last = load(16, 5000, response_s=0.002, cores=(0.99, 0.3))
    even = load(16, 8000, response_s=0.001, cores=(0.93, 0.92))
    assert judge(seen(server("uvicorn", 2), LONE, last)).verdict == "concurrency"
    limiter = judge(seen(server("uvicorn", 2), LONE, last, visits=(last, even)))
    assert limiter.verdict == "cpu"
    assert limiter.evidence["server_cpu_cores"] == 1.85


def test_no_step_at_all_is_unknown() -> None:
    empty = replace(seen(UVICORN, LONE, LONE), steps=(), knee=None)
    assert judge(empty).verdict == "unknown"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uvicorn", True),
        ("uvicorn_worker.UvicornWorker", True),
        ("asgi", True),
        ("sync", False),
        ("gthread", False),
        ("gevent", False),
        (None, False),
    ],
)
def test_event_loops(name: str | None, expected: bool) -> None:
    assert is_event_loop(name) is expected


def blocked(canary: Canary | None, stacks: Stacks | None = None) -> Limiter:
    top = load(8, 50, response_s=0.16, waits=waits(hrtimer_nanosleep=80, ep_poll=20))
    return judge(seen(UVICORN, LONE, top, canary=canary, stacks=stacks))


def test_a_canary_makes_a_blocked_loop_surer_or_less_sure() -> None:
    confirmed = blocked(Canary(pid=101, alone_s=0.02, beside_s=0.038, samples=9))
    contradicted = blocked(Canary(pid=101, alone_s=0.02, beside_s=0.0202, samples=9))
    assert contradicted.confidence < blocked(None).confidence < confirmed.confidence
    assert confirmed.evidence["canary"] == "serialised"
    assert "1.9 times as long" in confirmed.why
    assert contradicted.evidence["canary"] == "concurrent"


def test_the_stacks_name_the_line() -> None:
    place = Place(Frame("/srv/shop/views.py", 12, "items"), Frame("/lib/x.py", 3, "recv"))
    found = blocked(None, Stacks(dumps=9, samples=8, place=place, count=7))
    assert found.evidence["where"] == "/srv/shop/views.py:12 in items"
    assert "where" not in blocked(None, Stacks(dumps=9, samples=0, place=None, count=0)).evidence


def test_bursts_that_fell_on_one_worker_do_not_hide_that_the_cpu_was_used_up() -> None:
    """Connections that were opened one after the other had kept both workers busy."""
    who = server("uvicorn", 2)
    even = load(32, 800, response_s=0.04, cores=(0.9, 0.9))
    uneven = load(16, 480, response_s=0.03, cores=(0.95, 0.1))
    lone = load(1, 100, response_s=0.01, cores=(0.1, 0.0))
    visited = seen(who, lone, uneven, visits=(uneven, uneven), steps=(lone, uneven, even))
    assert judge(visited).verdict == "cpu"
    alone = seen(who, lone, uneven, visits=(uneven, uneven))
    assert judge(alone).verdict == "concurrency"


THREADS_TOOK = {"cores": (0.5,), "waits": IDLE_LOOP, "downstream": 0}


@pytest.mark.parametrize(("main", "tokens"), [(0.2, 40), (0.45, None), (None, None)])
def test_a_pool_of_threads_is_told_by_who_computes(main: float | None, tokens: int | None) -> None:
    """30 in service by a lone request's time: 40 threads that take turns, or a pool of 30."""
    found = judge(seen(UVICORN, LONE, load(256, 1500, response_s=0.17, main=main, **THREADS_TOOK)))
    assert found.verdict == "concurrency"
    assert found.evidence.get("tokens") == tokens
    assert found.evidence["in_service_per_worker"] == 30.0


@pytest.mark.parametrize(
    ("cores", "each"), [((0.2, 0.2), 3.5), ((0.22, 0.18), 3.5), ((0.3, 0.1), 5.2)]
)
def test_a_pool_is_as_large_as_the_busiest_workers(cores: tuple[float, float], each: float) -> None:
    """Seven in service of two pools of five: the connections fell unevenly, where the CPU did."""
    two = server("uvicorn", 2)
    found = judge(
        seen(two, LONE, load(16, 350, response_s=0.045, cores=cores, waits=IDLE_LOOP, downstream=0))
    )
    assert found.evidence["in_service_per_worker"] == each
