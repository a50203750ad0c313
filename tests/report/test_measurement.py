"""The table of a measurement, from documents made by hand: every branch, and what is unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Estimate, HttpFacts, Limiter, Measurement, Step, Unknown, Worker
from advisor.documents.measurement import (
    Balance,
    Cacheable,
    Carried,
    Observed,
    OpenLoop,
    RouteResult,
    ThreadDemand,
    WorkerMemory,
)
from advisor.report.measurement import MEANING, table

EXAMPLE = files.read(Measurement, Path(__file__).parent.parent / "examples" / "measurement.json")


def but(measured: Measurement = EXAMPLE, **fields: Any) -> Measurement:
    """A measurement with other fields; a dict changes fields within one."""
    changed = {
        name: getattr(measured, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in fields.items()
    }
    return measured.model_copy(update=changed)


def about(value: float, share: float = 0.05) -> Estimate:
    return Estimate(value=value, low=value * (1 - share), high=value * (1 + share), n=100)


def words(measured: Measurement, **how: Any) -> str:
    """The table without its line breaks."""
    return " ".join(table(measured, **how).split())


def route(path: str, **fields: Any) -> RouteResult:
    usual: dict[str, Any] = {
        "weight": 0.5,
        "requests": 1200,
        "errors": 0,
        "p50_s": 0.002,
        "p99_s": 0.008,
        "cpu_per_request_s": about(0.0002),
        "wait_per_request_s": about(0.002),
    }
    return RouteResult(path=path, **(usual | fields))


def fact(path: str = "/items", **fields: Any) -> HttpFacts:
    usual: dict[str, Any] = {
        "status": 200,
        "content_type": "application/json",
        "bytes": 18211,
        "compressed": False,
        "compressible_ratio": 0.21,
        "stable": True,
        "microcache": Cacheable(value=True, why="GET, no cookie"),
        "cdn": Cacheable(value=False, why="no Cache-Control"),
    }
    return HttpFacts(path=path, **(usual | fields))


BLACK_BOX = but(
    target={"server": None, "pid": None, "workers": None, "worker_class": None},
    cpu_per_request_s=None,
    wait_per_request_s=None,
    blocked_per_request_s=None,
    workers=[],
    throughput={"knee_rps": None},
    cost={"server_cpu_s": None},
).model_copy(update={"latency_s": {"p50": None, "p99": None}})
OBSERVED = but(
    mode="observe",
    limiter=Limiter(
        verdict="unknown",
        confidence=0,
        why="the app was not at its limit: utilisation was 12 %",
        evidence={"utilisation_ratio": 0.12},
    ),
    throughput={"knee_rps": None, "steps": []},
    http=[],
    cost={"requests": 0, "duration_s": 60.2, "client_cpu_s": 0.4},
    observed=Observed(
        source="/var/log/nginx/access.log",
        kind="access-log",
        format="combined",
        requests=4321,
        errors=3,
        rate_rps=72.0,
        upstream_time=True,
    ),
)
WHOLE = but(
    target={"through": ["nginx", "caddy"], "upstream": "127.0.0.1:8001"},
    limiter={"evidence": {"where": "/srv/shop/main.py:43 in items", "canary": "serialised"}},
    threads=ThreadDemand(main_s=about(0.00015), others_s=about(0.00004)),
    throughput={
        "open_loop": OpenLoop(
            rate_rps=4450,
            utilisation_ratio=0.5,
            requests=13000,
            errors=2,
            late_ratio=0.12,
            mean_s=about(0.003),
            p50_s=about(0.0021),
            p99_s=about(0.009),
        ),
        "steps": [
            *EXAMPLE.throughput.steps,
            Step(
                connections=1024,
                rps=8912.5,
                p50_s=0.115,
                p99_s=None,
                server_cpu_cores=None,
                client_cpu_cores=0.3,
                cpu_per_request_s=None,
                errors=12,
                queue=1004.2,
            ),
        ],
    },
    routes=[
        route("/items", weight=0.8, requests=9600),
        route("/report/of/all/months/and/years/in/one", weight=0.2, p99_s=0.5, errors=4),
    ],
    http=[fact(), fact("/healthz")],
    worker_memory=WorkerMemory(
        started_by="fork", preloaded=True, marginal_bytes=about(26e6), shared_bytes=6 << 20
    ),
    balance=Balance(busiest_ratio=0.7, even_ratio=0.5, lost_ratio=0.4),
    memory_growth_bytes_per_request=about(2000),
    network=Carried(
        bytes_per_request=about(18500),
        carrier="eth0",
        capacity_bytes_per_s=125_000_000,
        used_ratio=1.31,
    ),
    disk=Carried(bytes_per_request=about(500), carrier="sda"),
)
DOCUMENTS = {"example": EXAMPLE, "black box": BLACK_BOX, "observed": OBSERVED, "whole": WHOLE}
each_document = pytest.mark.parametrize("measured", DOCUMENTS.values(), ids=DOCUMENTS)


def test_the_example() -> None:
    text = words(EXAMPLE)
    for part in (
        "http://127.0.0.1:8000/items",
        "gunicorn (uvicorn_worker.UvicornWorker), pid 812, 2 workers",
        "Limited by: cpu (93% sure)",
        "190 µs (±4 %)",
        "8,900/s",
        "2.4 ms / 8.8 ms, at up to half of the knee's rate",
        "2, 31 M PSS each, 26 M of it their own (USS); the busiest did 52% of the work",
        "402.0",
        "43,120 requests, 26 s",
        "memory growth: the interval holds zero",
        "-> --observe 3600",
    ):
        assert part in text, text


@each_document
def test_the_limiter_comes_first_and_the_next_step_last(measured: Measurement) -> None:
    lines = table(measured).splitlines()
    order = ["http://", "Limited by", "One request", "CPU per request", "Not known", "Next"]
    places = [next(n for n, line in enumerate(lines) if word in line) for word in order]
    assert places == sorted(places)
    assert "advisor recommend " in lines[-1]


@each_document
def test_it_fits_a_terminal(measured: Measurement) -> None:
    many = [Worker(pid=number, pss_bytes=1 << 30, uss_bytes=1) for number in range(1, 65)]
    for each in (measured, but(measured, workers=many)):
        lines = table(each).splitlines()
        assert max(map(len, lines)) <= 80, max(lines, key=len)


# --- what limits it -----------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", MEANING)
def test_every_verdict_says_what_it_means(verdict: str) -> None:
    text = words(but(limiter={"verdict": verdict, "confidence": 0.5}))
    assert f"Limited by: {verdict} (50% sure)" in text
    assert MEANING[verdict] in text


def test_an_unknown_limiter_is_not_sure_of_anything() -> None:
    assert "sure)" not in words(OBSERVED)
    assert "Limited by: unknown the app was not at its limit" in words(OBSERVED)


def test_the_line_and_the_canary_of_a_blocked_loop() -> None:
    text = words(WHOLE)
    assert "in the code /srv/shop/main.py:43 in items" in text
    assert "canary confirmed: a second request to the same worker waited for the first" in text
    for canary, said in (("concurrent", "did not wait"), ("not told", "canary not told")):
        assert said in words(but(limiter={"evidence": {"canary": canary}}))
    times = {"canary_alone_s": 0.02, "canary_beside_s": 0.039}
    said = "canary 39 ms beside another request, 20 ms alone One request"
    assert said in words(but(limiter={"evidence": times}))
    bare = words(but(limiter={"evidence": {"where": None, "canary_alone_s": 0.02}}))
    assert "in the code" not in bare
    assert "canary" not in bare


def test_a_long_path_keeps_its_end() -> None:
    where = f"/srv/{'releases/' * 40}shop/views.py:43 in items"
    text = table(but(limiter={"evidence": {"where": where}}))
    assert "shop/views.py:43 in items" in text
    assert max(map(len, text.splitlines())) <= 80


# --- one request --------------------------------------------------------------------------------


def test_what_was_not_measured_is_unknown_and_no_number() -> None:
    text = words(BLACK_BOX)
    assert "processes not seen, so a black box: only its answers tell" in text
    assert "CPU per request unknown" in text
    assert "waiting per request unknown" in text
    assert "response p50 / p99 unknown / unknown" in text
    assert "rate at the knee not found" in text
    assert "CPU: unknown of the server" in text
    assert "Workers" not in text
    assert "where its processes can be seen: advisor recommend http" in text


def test_a_server_without_an_event_loop_has_none_to_block() -> None:
    assert "loop blocked 0 µs" in words(EXAMPLE)
    sync = but(blocked_per_request_s=None, threads=WHOLE.threads)
    assert "loop blocked" not in words(sync)
    assert "150 µs on the main thread, 40 µs on other threads" in words(sync)
    hidden = Unknown(what="blocked_per_request_s", why="hidden", remedy="run as root")
    assert "loop blocked unknown" in words(but(sync, unknown=[hidden]))


def test_the_cpu_of_the_event_loop_and_of_the_rest() -> None:
    assert (
        "CPU per request 190 µs (±4 %) 150 µs on the event loop, 40 µs on other threads"
        in words(WHOLE)
    )


@pytest.mark.parametrize(
    ("used", "said"),
    [
        (0.12, "at the knee's rate 12% of the 119 M/s that eth0 carries Under load"),
        (0.8, "carries: it is nearly full"),
        (1.31, "131% of the 119 M/s that eth0 carries: it limits before the app does"),
    ],
)
def test_bytes_stand_against_what_carries_them(used: float, said: str) -> None:
    assert WHOLE.network is not None
    network = WHOLE.network.model_copy(update={"used_ratio": used})
    text = words(but(network=network))
    assert "network 18 K a request (±5 %); " in text
    assert said in text
    assert "disk" not in text


def test_a_carrier_of_unknown_size_is_said_to_be() -> None:
    assert "disk 500 bytes a request (±5 %); how much sda carries is not known" in words(WHOLE)
    assert "at the rate seen 131%" in words(but(OBSERVED, network=WHOLE.network))


# --- under load ---------------------------------------------------------------------------------


def test_the_open_loop_check_counts_from_the_schedule() -> None:
    text = words(WHOLE)
    assert "/ 8.8 ms, at 4,450/s, 50% of the knee, 2 errors: visitors who" in text
    assert "timed from when each was due; the generator sent 12% late" in text
    check = WHOLE.throughput.open_loop
    assert check is not None
    plain = check.model_copy(update={"errors": 0, "late_ratio": 0.01, "p99_s": None})
    text = words(but(throughput={"open_loop": plain}))
    assert "at 4,450/s, 50% of the knee: visitors" in text
    assert "late" not in text
    assert "visitors who" not in words(EXAMPLE)


def test_each_step_has_a_line_and_columns_only_where_something_is_known() -> None:
    text = table(WHOLE)
    heading = next(line for line in text.splitlines() if "connections " in line)
    assert heading.split()[-2:] == ["queue", "errors"]
    (row,) = [line for line in text.splitlines() if line.lstrip().startswith("1,024")]
    assert row.split() == ["1,024", "8,912.5", "115", "ms", "-", "-", "-", "1004.2", "12"]
    assert "queue: requests that wait" in text
    assert "queue" not in table(EXAMPLE)
    assert "errors" not in table(EXAMPLE)
    assert "connections " not in table(but(throughput={"steps": []}))


# --- routes and answers -------------------------------------------------------------------------


def test_routes_have_a_line_each_and_the_slowest_and_costliest_are_named() -> None:
    text = table(WHOLE)
    lines = [line for line in text.splitlines() if "of/all/months" in line or "/items  " in line]
    assert any("80%" in line and "9,600" in line and "200 µs" in line for line in lines)
    assert "Slowest: /report/of/all/months/and/years/in/one, p99 500 ms." in text
    assert "Costliest: /items, 80% of all CPU." in text
    assert "each route alone" in text
    assert "Routes" not in table(but(routes=[route("/items")]))


def test_routes_of_which_less_is_known() -> None:
    seen = [
        route("/a", p99_s=None, p50_s=0.3, cpu_per_request_s=None, wait_per_request_s=None),
        route("/b", p99_s=None, wait_per_request_s=None, weight=0.1),
    ]
    text = words(but(routes=seen))
    assert "Slowest: /a, p50 300 ms." in text
    assert "Costliest: /b, 100% of the known CPU." in text
    assert "p99" not in text[text.index("Routes") : text.index("CPU and")]
    nothing = {"p50_s": None, "p99_s": None, "cpu_per_request_s": None, "wait_per_request_s": None}
    text = words(but(OBSERVED, routes=[route("/a", **nothing), route("/b", **nothing)]))
    assert "route share requests /a 50% 1,200 /b 50% 1,200" in text
    for absent in ("Slowest", "Costliest", "each route alone"):
        assert absent not in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "18,211 bytes, not compressed (gzip would make it 21%)"),
        ({"compressed": True}, "bytes, compressed headers"),
        ({"compressible_ratio": None}, "not compressed headers"),
        ({"compressible_ratio": 1.2}, "not compressed, nor worth it"),
        ({"bytes": 20}, "20 bytes, not compressed, nor worth it"),
        ({"content_type": None}, "200 of no type,"),
        ({}, "headers: none that a cache goes by"),
        (
            {
                "cache_control": "max-age=60",
                "etag": "weak",
                "last_modified": True,
                "vary": ["Accept", "Cookie"],
                "sets_cookie": True,
            },
            "Cache-Control max-age=60; weak ETag; Last-Modified; Vary Accept, Cookie; Set-Cookie",
        ),
        ({}, "micro-cache of a second: yes, GET, no cookie CDN: no, no Cache-Control"),
        ({"microcache": Cacheable(value=False, why="a cookie"), "cdn": None}, "second: no, a coo"),
        ({"cdn": None}, "CDN: unknown"),
    ],
)
def test_what_an_answer_is_and_who_may_keep_it(fields: dict[str, Any], said: str) -> None:
    assert said in words(but(http=[fact(**fields)]))


def test_a_health_route_is_one_that_is_not_measured() -> None:
    assert "health route /healthz, 200" in words(WHOLE)
    assert words(but(WHOLE, http=[fact(), fact(WHOLE.routes[1].path)])).count("micro-cache") == 2
    assert "Answers" not in words(but(http=[]))


# --- workers ------------------------------------------------------------------------------------


def test_what_workers_share_and_what_one_more_costs() -> None:
    text = words(WHOLE)
    assert "one more costs 25 M (±5 %) of memory" in text
    assert "started forked; the app is imported before the fork, so its memory is shared" in text
    assert "6 M shared" in text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"preloaded": False}, "forked; each imports the app for itself memory"),
        ({"preloaded": None}, "forked; whether they share the app is not known"),
        ({"started_by": "spawn", "preloaded": False}, "started spawned memory growth"),
        ({"started_by": "itself", "preloaded": None}, "started the server's one process memory"),
        ({"started_by": "unknown", "preloaded": None}, "in a way that is not known"),
        ({"marginal_bytes": None}, "one more costs unknown of memory"),
    ],
)
def test_how_workers_are_started(fields: dict[str, Any], said: str) -> None:
    assert WHOLE.worker_memory is not None
    memory = WHOLE.worker_memory.model_copy(update={"shared_bytes": None, **fields})
    assert said in words(but(worker_memory=memory))


def test_memory_that_may_not_be_read_is_unknown() -> None:
    hidden = [Worker(pid=5, pss_bytes=None, uss_bytes=None)]
    assert "workers 1, memory unknown memory growth" in words(but(workers=hidden))


def test_what_the_imbalance_costs() -> None:
    costly = "imbalance the busiest did 70%, where 50% would be even: an even spread would serve"
    assert f"{costly} 40% more" in words(WHOLE)
    free = Balance(busiest_ratio=0.52, even_ratio=0.5, lost_ratio=0)
    assert "imbalance costs nothing (50% each would be even)" in words(but(balance=free))
    assert "imbalance" not in words(EXAMPLE)


@pytest.mark.parametrize(
    ("measured", "growth", "said"),
    [
        (EXAMPLE, None, "memory growth cannot be told in this time"),
        (EXAMPLE, about(0.0), "memory growth none"),
        (EXAMPLE, about(2000.0), "2000 bytes a request (±5 %): a leak, 1.9 G in a million"),
        (OBSERVED, about(2000.0), "a leak, 494 M an hour at the 72/s seen"),
    ],
)
def test_memory_growth(measured: Measurement, growth: Estimate | None, said: str) -> None:
    assert said in words(but(measured, memory_growth_bytes_per_request=growth))


# --- other ways to measure ----------------------------------------------------------------------


def test_proxies_in_front_are_named() -> None:
    assert "2 workers, through nginx, then caddy to 127.0.0.1:8001" in words(WHOLE)
    boxed = but(BLACK_BOX, target={"through": ["nginx"], "upstream": "10.0.0.2:80"})
    assert "only its answers tell, through nginx to 10.0.0.2:80" in words(boxed)


def test_servers_of_other_shapes() -> None:
    threaded = words(but(target={"worker_class": None, "workers": 1, "threads": 8}))
    assert "gunicorn, pid 812, 1 worker x 8 threads" in threaded
    assert "a server of unknown kind, pid 812" in words(
        but(target={"server": "unknown", "worker_class": None, "workers": None})
    )


def test_an_observation_says_that_it_sent_nothing() -> None:
    text = words(OBSERVED)
    assert "Watched for 60 s: no request was sent." in text
    assert "requests 4,321, 72/s, 3 errors" in text
    assert "read from /var/log/nginx/access.log (combined)" in text
    assert "rate at the knee not looked for" in text
    assert "as the proxy waits for the app" in text
    assert "cost of watching no request, 0.4 s of its own CPU" in text
    assert "Under load" not in text
    assert text.endswith("save it (-o seen.yml), then: advisor recommend --measurement seen.yml")


def test_an_observation_of_another_source() -> None:
    assert OBSERVED.observed is not None
    url = "http://127.0.0.1/status"
    changed = {"kind": "stub-status", "source": url, "format": None, "upstream_time": False}
    other = but(OBSERVED, observed=OBSERVED.observed.model_copy(update=changed))
    assert f"read from stub_status at {url} rate" in words(other)
    assert "the client's network included" in words(other)


# --- the last line, and hostile text ------------------------------------------------------------


def test_the_next_step_is_there_to_type() -> None:
    assert table(EXAMPLE).endswith("  advisor recommend http://127.0.0.1:8000/items\n")
    saved = table(EXAMPLE, saved_as="my m.yml")
    assert saved.endswith("  advisor recommend --measurement 'my m.yml'\n")
    query = but(target={"url": "http://127.0.0.1:8000/items?a=1&b=2"})
    assert table(query).endswith("recommend 'http://127.0.0.1:8000/items?a=1&b=2'\n")


@given(st.text(max_size=300))
def test_no_text_reaches_the_terminal_as_more_than_text(text: str) -> None:
    hostile = but(
        WHOLE,
        target={"worker_class": text, "upstream": text},
        limiter={"why": text, "evidence": {"where": text, "canary": text}},
        routes=[route(text), route(f"/{text}")],
        http=[fact(text, content_type=text, cache_control=text, vary=[text])],
        unknown=[Unknown(what=text, why=text, remedy=text)],
    )
    shown = table(hostile)
    assert all(line.isprintable() for line in shown.split("\n"))
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=200))
def test_no_name_breaks_the_width(text: str) -> None:
    named = but(
        WHOLE,
        limiter={"evidence": {"where": text}},
        routes=[route(f"/{text}"), route("/items")],
        http=[fact(f"/{text}")],
    )
    assert max(map(len, table(named).splitlines())) <= 80


def test_the_knee_says_over_how_many_connections() -> None:
    assert "over 16 connections" in words(but(throughput={"knee_connections": 16}))
    assert "connections" not in words(EXAMPLE).split("rate at the knee")[1].split("response")[0]
