"""What windows and requests amount to: by hand-made data whose answer is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from advisor.documents import Cost, Measurement, Server, Target, Worker
from advisor.probe.analysis.observation import Load, Window
from advisor.probe.passive import reckon
from advisor.probe.passive.entry import Entry
from advisor.probe.passive.seen import Room, Seen, Source
from advisor.probe.sample.waits import Waits

WINDOWS = 20


def server(kind: str = "uvicorn", workers: int = 1, threads: int = 1) -> Server:
    return Server(
        kind=kind,
        version=None,
        pid=100,
        app=None,
        listen=[],
        worker_class="uvicorn" if kind == "uvicorn" else "gthread",
        threads=threads,
        workers=[Worker(pid=101 + i, pss_bytes=None, uss_bytes=None) for i in range(workers)],
    )


def seconds(
    *, requests: int, cores: float, upstream_s: float = 0.0, errors: int = 0, workers: int = 1
) -> tuple[Window, ...]:
    one = Window(
        seconds=1.0,
        completed=requests - errors,
        errors=errors,
        latency_sum=upstream_s * requests,
        server_cpu={100: 0.0} | {101 + i: cores / workers for i in range(workers)},
        client_cpu=0.01,
        others_cpu=0.0,
        steal=0.0,
        run_queue_wait=0.0,
        main_cpu=cores,
    )
    return (one,) * WINDOWS


def seen(windows: tuple[Window, ...], *, of: Server | None, **more: object) -> Seen:
    waits = more.pop("waits", None)
    throttled = more.pop("throttled_s", 0.0)
    entries = more.pop("entries", [Entry(None, "GET", "/", "", 200, proxied=True)])
    return replace(
        Seen(
            server=of,
            load=Load(0, windows, (), waits=waits, throttled_s=throttled),
            room=Room(cores=2.0, host_cores=2, shares_limit=False),
            source=Source("/var/log/access.log", "access-log", "combined"),
            entries=entries,
        ),
        **more,
    )


def document(what: Seen) -> Measurement:
    target = Target(
        url="http://shop.example/",
        pid=None,
        server=None,
        worker_class=None,
        workers=None,
        threads=None,
        through=["nginx"],
    )
    cost = Cost(requests=0, duration_s=20, client_cpu_s=0.1, server_cpu_s=0)
    return reckon.measurement(what, target=target, holdings=None, cost=cost, unknown=[])


def gaps(measured: Measurement) -> set[str]:
    return {gap.what for gap in measured.unknown}


def test_cpu_and_waiting_of_a_request() -> None:
    windows = seconds(requests=100, cores=0.2, upstream_s=0.022)
    measured = document(seen(windows, of=server(), timed=True))
    assert measured.cpu_per_request_s is not None
    assert measured.cpu_per_request_s.value == pytest.approx(0.002)
    assert measured.cpu_per_request_s.n == 100 * WINDOWS
    assert measured.wait_per_request_s is not None
    assert measured.wait_per_request_s.value == pytest.approx(0.02)
    assert measured.limiter.verdict == "unknown"
    assert "utilisation was 20%" in measured.limiter.why
    assert measured.observed is not None
    assert measured.observed.rate_rps == pytest.approx(100)
    assert measured.cost.requests == 0
    assert {"throughput.knee_rps", "limiter", "HTTP and caching facts"} <= gaps(measured)


def test_the_wait_for_a_cpu_is_not_waiting() -> None:
    quick = seconds(requests=100, cores=0.2, upstream_s=0.022)
    late = tuple(replace(window, run_queue_wait=0.5) for window in quick)
    measured = document(seen(late, of=server(), timed=True))
    assert measured.wait_per_request_s is not None
    assert measured.wait_per_request_s.value == pytest.approx(0.015)


def test_without_upstream_times_waiting_is_unknown_with_the_line_to_add() -> None:
    entries = [Entry(None, "GET", "/", "", 200, request_s=0.3)] * 30
    measured = document(seen(seconds(requests=100, cores=0.2), of=server(), entries=entries))
    assert measured.wait_per_request_s is None
    (gap,) = (gap for gap in measured.unknown if gap.what == "wait_per_request_s")
    assert "at most 0.3 s" in gap.why
    assert "log_format" in gap.remedy
    assert "which requests the app was asked" in gaps(measured)


def test_where_requests_queue_waiting_is_unknown() -> None:
    full = seconds(requests=100, cores=0.1, upstream_s=0.038)
    sync = server("gunicorn", workers=4)
    measured = document(seen(full, of=sync, timed=True))
    assert measured.wait_per_request_s is None
    assert "slots" in measured.limiter.why
    assert measured.limiter.evidence["slots_ratio"] == pytest.approx(0.95)


def test_a_server_that_uses_the_cpu_left_to_it_is_limited_by_it() -> None:
    windows = seconds(requests=100, cores=1.9, workers=2)
    measured = document(seen(windows, of=server(workers=2)))
    assert measured.limiter.verdict == "cpu"
    assert [worker.share_ratio for worker in measured.workers] == [0.5, 0.5]


def test_a_full_worker_beside_an_idle_core_is_no_cpu_limit() -> None:
    measured = document(seen(seconds(requests=100, cores=0.95), of=server()))
    assert measured.limiter.verdict == "concurrency"


def test_a_blocked_loop() -> None:
    waits = Waits({101: Counter({"hrtimer_nanosleep": 900, "ep_poll": 100})})
    windows = seconds(requests=45, cores=0.02)
    what = seen(windows, of=server(), waits=waits, blocked_s=[0.9] * WINDOWS)
    measured = document(what)
    assert measured.limiter.verdict == "event-loop-blocked"
    assert measured.blocked_per_request_s is not None
    assert measured.blocked_per_request_s.value == pytest.approx(0.02)


def test_a_loop_that_is_blocked_now_and_then_is_no_limit() -> None:
    waits = Waits({101: Counter({"hrtimer_nanosleep": 200, "ep_poll": 800})})
    what = seen(seconds(requests=10, cores=0.02), of=server(), waits=waits)
    assert document(what).limiter.verdict == "unknown"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"changed": "pid 101 of the server ended under way"}, "ended under way"),
        ({"throttled_s": 5.0}, "quota"),
        ({"windows": seconds(requests=100, cores=0.2, errors=2)}, "failed"),
        ({"windows": tuple(replace(w, steal=0.2) for w in seconds(requests=9, cores=1))}, "steal"),
    ],
)
def test_what_disturbs_leaves_no_verdict(change: dict[str, object], why: str) -> None:
    windows = change.pop("windows", seconds(requests=100, cores=0.2))
    limiter = document(seen(windows, of=server(), **change)).limiter
    assert limiter.verdict == "unknown"
    assert why in limiter.why


def test_without_a_server_there_are_rates_only() -> None:
    measured = document(seen(seconds(requests=100, cores=0), of=None))
    assert measured.cpu_per_request_s is None
    assert measured.limiter.verdict == "unknown"
    assert any("processes are not known" in gap.why for gap in measured.unknown)


def test_routes_and_latencies() -> None:
    fast = [Entry(None, "GET", f"/items/{i}", "", 200, 500, 0.02, 0.01) for i in range(30)]
    slow = [Entry(None, "GET", "/report", "", 500, 100, 0.9, 0.8)] * 10
    posts = [Entry(None, "POST", "/cart", "", 200, 100, 0.9, 0.8)] * 10
    what = seen(seconds(requests=50, cores=0.1), of=server(), entries=fast + slow + posts)
    measured = document(what)
    first, second = measured.routes
    assert (first.path, first.weight, first.requests) == ("/items/{}", 0.6, 600)
    assert (first.p50_s, first.p99_s, first.bytes_per_request) == (0.01, None, 500)
    assert (second.path, second.errors, second.p50_s) == ("/report", 200, None)
    assert measured.latency_s["p99"] is None
    p50 = measured.latency_s["p50"]
    assert p50 is not None
    # A log of whole milliseconds is no surer than that.
    assert (p50.low, p50.value) == (pytest.approx(0.009), 0.01)
    assert "routes of other methods than GET and HEAD" in gaps(measured)
