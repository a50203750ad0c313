"""Every finding is made where it is due, and only there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from advisor.documents import Balance, Component, Estimate, Limit, WorkerMemory
from advisor.model.choose import choose, fall_back
from advisor.model.classes import ASGI, GEVENT
from advisor.model.constraints import Pins
from advisor.model.service import Demand
from advisor.rules.findings import FINDINGS, Case, find
from tests.rules.situations import (
    BLOCKED,
    COST,
    LIMITS,
    MEASURED,
    MIB,
    SERVER,
    beside,
    calm,
    found,
    hides,
    host,
    in_flight,
    measured,
    of,
    on,
    runs,
    seen,
    slow,
    store,
    through,
    wants,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Finding

    Change = Callable[[Case], Case]


def blocked(case: Case, **evidence: Any) -> Case:
    held = Estimate(value=0.05, low=0.049, high=0.051, n=600)
    return replace(
        measured(seen(case, "event-loop-blocked", **evidence), blocked_per_request_s=held),
        plan=choose("asgi", BLOCKED, COST, LIMITS, Pins()),
        mended=choose("asgi", BLOCKED.mended(), COST, LIMITS, Pins()),
    )


def limited(case: Case, **evidence: Any) -> Case:
    held = Demand(0.0003, 0.0003, 0.0003, 0.050, slots=40)
    limits = replace(LIMITS, concurrency=300)
    return replace(
        seen(case, "concurrency", **evidence),
        plan=choose("asgi", held, COST, limits, Pins()),
        mended=choose("asgi", held.mended(), COST, limits, Pins()),
    )


def growing(case: Case, low: float) -> Case:
    growth = Estimate(value=100, low=low, high=120, n=40000)
    return measured(case, memory_growth_bytes_per_request=growth)


def threaded(case: Case, version: str) -> Case:
    """The case under a Python that was built without the interpreter lock."""
    python = Component(version=version, modules=["free-threaded"])
    components = {**case.facts.components, "python": python}
    return replace(case, facts=case.facts.model_copy(update={"components": components}))


def out_of_reach(case: Case) -> Case:
    limits = replace(LIMITS, rate_rps=1e6, p99_s=0.1)
    plan = choose("asgi", BLOCKED, COST, limits, Pins())
    return replace(wants(case, targets__rate_rps=1e6, targets__p99_s=0.1), plan=plan)


def in_reach(case: Case) -> Case:
    limits = replace(LIMITS, rate_rps=10)
    plan = choose("asgi", replace(BLOCKED, blocked_s=0.0), COST, limits, Pins())
    return replace(wants(case, targets__rate_rps=10), plan=plan)


def uneven(case: Case, lost: float) -> Case:
    return measured(case, balance=Balance(busiest_ratio=0.8, even_ratio=0.5, lost_ratio=lost))


def shared(case: Case) -> Case:
    """A host without a quota, and another app's server on it."""
    return beside(host(case, "cpu", quota="none"), SERVER.model_copy(update={"pid": 900}))


def contained(case: Case) -> Case:
    return limited_at(case, "/sys/fs/cgroup/kubepods.slice/pod1/cpu.max")


def limited_at(case: Case, source: str) -> Case:
    limit = Limit(source=source, kind="quota", value=None)
    return host(case, "cpu", quota="none", limits=[limit])


def preloaded(case: Case, *, told: bool | None = None) -> Case:
    memory = WorkerMemory(started_by="fork", preloaded=told, marginal_bytes=None, shared_bytes=None)
    return measured(case, worker_memory=memory)


def sync(case: Case, **settings: Any) -> Case:
    return of(case, worker_class="sync", settings=settings)


# Each finding, a case in which it is made, words that it has to hold, and a case that is nearly
# the same and has nothing to find.
MADE: dict[str, tuple[Change, tuple[str, ...], Change]] = {
    "event-loop-blocked": (
        lambda case: blocked(case, where="shop/main.py:31"),
        ("50 ms", "held at shop/main.py:31", "As it is: ", "once mended: 1 worker"),
        lambda case: seen(case, "cpu", where="shop/main.py:31"),
    ),
    "app-limit": (
        lambda case: limited(case, in_service_per_worker=39.8, tokens=40),
        ("40 requests at a time", "total_tokens = ", "As it is: ", "once mended: "),
        lambda case: seen(case, "concurrency", in_service=39.8),
    ),
    "downstream-limit": (
        lambda case: seen(case, "downstream", downstream_connections=64),
        ("8,900/s", "CPU is left"),
        lambda case: seen(case, "cpu", downstream_connections=64),
    ),
    "uneven-workers": (
        lambda case: uneven(case, 0.6),
        ("80%", "50%", "60% more"),
        lambda case: uneven(case, 0.02),
    ),
    "cpu-throttled": (
        lambda case: seen(case, "unknown", throttled_s=1.2),
        ("1.20 s", "2 CPUs", "bursts"),
        lambda case: seen(case, "cpu", throttled_s=0.001),
    ),
    "targets-not-met": (
        out_of_reach,
        ("1,000,000/s within 100 ms", "stopped by"),
        in_reach,
    ),
    "memory-leak": (
        lambda case: growing(case, 80),
        ("98 K in 1,000 requests",),
        lambda case: growing(case, 0),
    ),
    "runs-as-root": (
        lambda case: of(case, user="root"),
        ("useradd --system shop",),
        lambda case: of(case, user="www-data"),
    ),
    "no-user": (
        lambda case: wants(case, app__user=("shop", "default")),
        ("shop",),
        lambda case: wants(case, app__user="shop"),
    ),
    "deprecated-worker-class": (
        lambda case: of(case, worker_class="uvicorn.workers.UvicornWorker"),
        ("pip install uvicorn-worker",),
        lambda case: wants(case, pins={"gunicorn.worker_class": "uvicorn_worker.UvicornWorker"}),
    ),
    "free-threaded": (
        lambda case: threaded(case, "3.14.2"),
        ("Python 3.14.2 is free-threaded", "cautious", "gunicorn.threads"),
        lambda case: found(case, python="3.14.2"),
    ),
    "server-missing": (
        lambda case: without(case, "gunicorn"),
        ("/srv/shop/venv/bin/pip install gunicorn",),
        lambda case: without(of(case, python=None), "gunicorn"),
    ),
    "uvicorn-worker-missing": (
        lambda case: found(case, uvicorn_worker=None),
        ("/srv/shop/venv/bin/pip install uvicorn-worker",),
        lambda case: replace(
            found(case, uvicorn_worker=None),
            plan=replace(case.plan, config=replace(case.plan.config, worker_class=ASGI)),
        ),
    ),
    "gevent-missing": (
        lambda case: replace(
            found(case, gevent=None),
            plan=replace(case.plan, config=replace(case.plan.config, worker_class=GEVENT)),
        ),
        ("/srv/shop/venv/bin/pip install gevent",),
        lambda case: found(case, gevent=None),
    ),
    "budget-over-host": (
        lambda case: replace(case, cores=16, budget_bytes=64 * 1024 * MIB),
        ("16 CPUs were asked for, 2 are there", "64.0 G were asked for, 4.0 G are there"),
        lambda case: replace(case, cores=1, budget_bytes=MIB),
    ),
    "slow-reload": (
        lambda case: replace(case, plan=fall_back("asgi", COST, LIMITS, Pins(workers=64))),
        ("64 workers boot for about 16 s on 2 CPUs",),
        lambda case: replace(case, plan=fall_back("asgi", COST, LIMITS, Pins(workers=32))),
    ),
    "reload-gap": (
        lambda case: found(wants(case, server="hypercorn"), hypercorn="0.18.0"),
        ("Hypercorn ends every worker", "500 ms"),
        lambda case: found(
            wants(case, server="hypercorn", hosts=["10.0.0.1:80", "10.0.0.2:80"]),
            hypercorn="0.18.0",
        ),
    ),
    "no-health-route": (
        lambda case: wants(case, app__health=("/items", "default")),
        ("/items",),
        lambda case: wants(case, app__health="/items"),
    ),
    "no-domain": (
        lambda case: wants(case, proxy="nginx"),
        ("nginx listens on 127.0.0.1:8080",),
        lambda case: wants(case, proxy="none"),
    ),
    "no-tls": (
        lambda case: wants(case, proxy="nginx", domain="shop.example"),
        ("shop.example", "tls in advisor.yml"),
        lambda case: wants(case, proxy="nginx", domain="shop.example", tls={"acme": True}),
    ),
    "secrets-in-sight": (
        lambda case: wants(case, app__environment={"SECRET_KEY": "hunter2"}),
        ("app.environment: SECRET_KEY", "app.environment_file"),
        lambda case: wants(case, app__environment={"TOKENIZERS": "2", "SECRET_KEY": ""}),
    ),
    "swapping": (
        lambda case: host(
            case,
            "memory",
            swap_total_bytes=2048 * MIB,
            swap_used_bytes=1024 * MIB,
            available_bytes=500 * MIB,
        ),
        ("1.0 G of 2.0 G swap", "500 M"),
        lambda case: host(case, "memory", swap_total_bytes=2048 * MIB, swap_used_bytes=MIB),
    ),
    "shared-without-quota": (
        shared,
        ("All 2 CPUs", "1 other app server runs (gunicorn)", "budget.cpus"),
        lambda case: host(case, "cpu", quota="none"),
    ),
    "nginx-connections": (
        lambda case: in_flight(
            wants(case, proxy="nginx", domain="shop.example", tls={"acme": True}), 600
        ),
        ("1,200 connections", "worker_connections 2048;", "worker_rlimit_nofile 4096;"),
        lambda case: in_flight(case, 600),
    ),
    "unknown-version": (
        lambda case: found(case, gunicorn="unheard"),
        ("version of gunicorn",),
        lambda case: found(case, redis="unheard"),
    ),
    "proxy-missing": (
        lambda case: wants(
            without(case, "nginx"), proxy="nginx", domain="shop.example", tls={"acme": True}
        ),
        ("nginx is not on this host",),
        lambda case: without(case, "nginx"),
    ),
    "live-keepalive-order": (
        lambda case: through(case, "caddy"),
        ("after 2 s", "caddy keeps it for 120 s", "502"),
        lambda case: through(of(case, settings={"keepalive": 130}), "caddy"),
    ),
    "live-timeouts": (
        lambda case: slow(sync(case), 40),
        ("timeout is 30 s", "44.00 s at p99", "their workers are killed", "a reload cuts them off"),
        lambda case: slow(sync(case, timeout=60, graceful_timeout=60), 40),
    ),
    "live-backlog": (
        lambda case: host(case, "kernel", somaxconn=128),
        ("2048", "128"),
        lambda case: host(of(case, settings={"backlog": 100}), "kernel", somaxconn=128),
    ),
    "uvicorn-limit": (
        lambda case: runs(case, "uvicorn", limit_concurrency=10),
        ("limit_concurrency is 10", "64 requests", "503"),
        lambda case: runs(case, "uvicorn", limit_concurrency=1000),
    ),
    "hup-unsafe": (
        lambda case: runs(case, "uvicorn", alone=True),
        ("one worker dies of HUP",),
        lambda case: runs(case, "uvicorn"),
    ),
    "preload-connections": (
        lambda case: seen(preloaded(case, told=True), downstream_connections=4),
        ("4 connections to others", "post_fork"),
        lambda case: seen(preloaded(case, told=False), downstream_connections=4),
    ),
    "asgi-slow-stop": (
        lambda case: of(case, worker_class="asgi"),
        ("graceful_timeout (30 s)",),
        lambda case: of(case, worker_class="gthread"),
    ),
    "uvicorn-ends-itself": (
        lambda case: runs(case, "uvicorn", alone=True, limit_max_requests=5000),
        ("5,000 requests", "Restart=always"),
        lambda case: runs(case, "uvicorn", limit_max_requests=5000),
    ),
    "development-server": (
        lambda case: of(case, settings={"reload": True}),
        ("reload",),
        lambda case: of(case, settings={"reload": False}),
    ),
    "redis-evicts-queue": (
        lambda case: store(
            case, broker_of="celery", maxmemory_policy="allkeys-lru", evicted_keys=12
        ),
        ("queue of celery", "allkeys-lru", "12 keys", "noeviction"),
        lambda case: store(case, maxmemory_policy="allkeys-lru"),
    ),
    "redis-without-limit": (
        lambda case: store(case, maxmemory_bytes=0),
        ("127.0.0.1:6379", "10 M"),
        lambda case: store(case, maxmemory_bytes=None),
    ),
    "database-connections": (
        lambda case: on(
            wants(case, database__max_connections=20, database__reserved=10), workers=6
        ),
        ("20 connections less 10 reserved", "6 workers on 1 host", "(12)"),
        lambda case: on(wants(case, database__max_connections=20, database__reserved=8), workers=6),
    ),
}
# Made together with another, which says something else of the same case.
COMPANIONS = {"uvicorn-ends-itself": {"hup-unsafe"}}


def ids(case: Case) -> set[str]:
    return {each.id for each in find(case)}


def one(case: Case, finding_id: str) -> Finding:
    return next(each for each in find(case) if each.id == finding_id)


def test_every_finding_has_its_case() -> None:
    assert set(MADE) == set(FINDINGS)


def test_a_calm_case_has_no_finding() -> None:
    assert find(calm()) == []


@pytest.mark.parametrize("finding_id", MADE)
def test_a_finding_is_made(finding_id: str) -> None:
    change, words, _ = MADE[finding_id]
    case = change(calm())
    assert ids(case) == {finding_id} | COMPANIONS.get(finding_id, set())
    finding = one(case, finding_id)
    for word in words:
        assert word in f"{finding.title} {finding.detail} {finding.remedy}"
    assert finding.title
    assert not finding.title.endswith(".")
    assert finding.detail.endswith(".")
    assert finding.evidence
    assert finding.remedy


@pytest.mark.parametrize("finding_id", MADE)
def test_a_finding_is_silent_in_a_case_like_it(finding_id: str) -> None:
    _, _, nearly = MADE[finding_id]
    assert finding_id not in ids(nearly(calm()))


@pytest.mark.parametrize("finding_id", MADE)
def test_without_a_measurement_or_a_server_nothing_is_guessed(finding_id: str) -> None:
    change, _, _ = MADE[finding_id]
    case = replace(change(calm()), measurement=None, server=None)
    assert all(each.id in FINDINGS for each in find(case))


def test_the_gravest_comes_first() -> None:
    case = wants(blocked(calm()), app__user=("shop", "default"))
    case = replace(case, server=SERVER.model_copy(update={"user": "shop"}))
    grave = [each.severity for each in find(without(case, "gunicorn"))]
    assert grave == ["critical", "warning", "info"]


def test_a_pinned_deprecated_class_is_found_too() -> None:
    pinned = wants(calm(), pins={"gunicorn.worker_class": "uvicorn.workers.UvicornWorker"})
    assert ids(pinned) == {"deprecated-worker-class"}


@pytest.mark.parametrize(
    ("gunicorn", "title", "severity"),
    [
        ("25.3.0", "Gunicorn's eventlet class is deprecated", "warning"),
        ("26.0.0", "Gunicorn's eventlet class is gone", "critical"),
        ("unheard", "Gunicorn's eventlet class is deprecated", "warning"),
    ],
)
def test_eventlet_goes_with_its_version(gunicorn: str, title: str, severity: str) -> None:
    case = found(of(calm(), worker_class="eventlet"), gunicorn=gunicorn)
    finding = one(case, "deprecated-worker-class")
    assert (finding.title, finding.severity) == (title, severity)


def test_free_threading_is_an_experiment_at_first() -> None:
    assert "experiment" in one(threaded(calm(), "3.13.1"), "free-threaded").detail
    assert "experiment" not in one(threaded(calm(), "3.14.0"), "free-threaded").detail
    assert "free-threaded" not in ids(threaded(calm(), "3.12.9"))


def test_a_package_is_missed_only_where_the_environment_was_looked_into() -> None:
    unseen = without(calm(), "gunicorn")
    assert find(replace(unseen, server=SERVER.model_copy(update={"python": None}))) == []
    assert find(replace(unseen, server=None)) == []


@pytest.mark.parametrize(
    ("case", "finding_id", "severity"),
    [
        # The quota is what was asked for, and all of it is used.
        (seen(calm(), "cpu", throttled_s=1.2), "cpu-throttled", "info"),
        (
            host(calm(), "memory", swap_total_bytes=2048 * MIB, swap_used_bytes=100 * MIB),
            "swapping",
            "info",
        ),
        (through(calm(), "nginx"), "live-keepalive-order", "info"),
        (through(without(calm(), "nginx"), "nginx"), "live-keepalive-order", "info"),
        (
            through(found(calm(), nginx="1.30.0"), "nginx"),
            "live-keepalive-order",
            "warning",
        ),
        (runs(calm(), "granian"), "hup-unsafe", "info"),
        (
            store(calm(), broker_of="rq", maxmemory_policy="volatile-lru", maxmemory_bytes=0),
            "redis-evicts-queue",
            "warning",
        ),
    ],
)
def test_a_lighter_case_is_a_lighter_finding(case: Case, finding_id: str, severity: str) -> None:
    assert one(case, finding_id).severity == severity


def test_a_blocked_loop_has_both_outcomes() -> None:
    case = blocked(calm())
    now = case.plan.config.workers
    assert now > 10
    assert f"As it is: {now} workers, " in one(case, "event-loop-blocked").detail


def test_a_blocked_loop_without_stacks_says_how_to_find_the_line() -> None:
    finding = one(blocked(calm()), "event-loop-blocked")
    assert "py-spy dump --pid" in finding.remedy
    assert "held at" not in finding.detail


def test_a_full_pool_says_what_the_database_bears() -> None:
    case = limited(calm(), in_service_per_worker=5.0, downstream_connections=10)
    assert "the database" not in one(case, "app-limit").remedy
    assert "over 10 connections to others" in one(case, "app-limit").detail
    case = wants(case, database__max_connections=100, database__reserved=0)
    workers = case.plan.config.workers
    borne = 100 // (2 * workers)
    assert f"the database {borne} connection" in one(case, "app-limit").remedy


@pytest.mark.parametrize("container", [contained, shared])
def test_a_budget_is_an_answer_to_a_missing_quota(container: Callable[[Case], Case]) -> None:
    assert "shared-without-quota" in ids(container(calm()))
    told = container(wants(calm(), budget__cpus=2))
    assert "shared-without-quota" not in ids(told)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/sys/fs/cgroup/cpu.max", True),
        ("/sys/fs/cgroup/system.slice/docker-4f1e.scope/cpu.max", True),
        ("/sys/fs/cgroup/cpu/docker/4f1e/cpu.cfs_quota_us", True),
        # cgroup v1 has this file at a host's root too.
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", False),
        ("/sys/fs/cgroup/system.slice/docker.service/cpu.max", False),
        ("/sys/fs/cgroup/system.slice/shop.service/cpu.max", False),
    ],
)
def test_a_container_is_known_by_its_group(source: str, expected: bool) -> None:
    found_so = "shared-without-quota" in ids(limited_at(calm(), source))
    assert found_so is expected


def test_what_a_source_may_set_is_not_taken_for_the_default() -> None:
    case = through(calm(), "caddy")
    assert "live-keepalive-order" in ids(case)
    for hidden in (
        "settings in /srv/shop/gunicorn.conf.py",
        "environment, settings beyond the command line",
        "keepalive, timeout",
        "settings",
    ):
        assert "live-keepalive-order" not in ids(hides(case, hidden)), hidden
    # What else is hidden hides no setting.
    assert "live-keepalive-order" in ids(hides(case, "sockets, memory"))
    assert "live-keepalive-order" in ids(hides(case, "timeout"))


def test_a_class_that_keeps_no_connection_has_no_idle_time() -> None:
    assert "live-keepalive-order" not in ids(through(sync(calm()), "caddy"))
    assert "live-keepalive-order" in ids(through(runs(calm(), "granian"), "caddy"))
    closing = through(runs(calm(), "granian", http1_keep_alive=False), "caddy")
    assert "live-keepalive-order" not in ids(closing)
    # Another proxy in between is not the one whose connections count.
    assert "live-keepalive-order" not in ids(through(calm(), "caddy", "haproxy"))


def test_nginx_gives_up_before_a_sync_worker() -> None:
    case = through(sync(calm(), timeout=120), "nginx")
    assert "proxy_read_timeout is 60 s" in one(case, "live-timeouts").detail
    assert "live-timeouts" not in ids(through(sync(calm(), timeout=0), "nginx"))
    # The others' timeout bounds no request.
    assert "live-timeouts" not in ids(through(of(calm(), settings={"timeout": 120}), "nginx"))


def test_hup_by_kind() -> None:
    assert "hup-unsafe" not in ids(calm())
    assert "old code" in one(of(calm(), settings={"preload_app": True}), "hup-unsafe").detail
    assert "nobody serves" in one(runs(calm(), "hypercorn"), "hup-unsafe").detail
    assert "dies" in one(runs(calm(), "hypercorn", alone=True), "hup-unsafe").detail


def test_a_pinned_preload_counts_where_something_may_be_open() -> None:
    pins = {"gunicorn.preload_app": True}
    assert "preload-connections" not in ids(wants(calm(), pins=pins))
    database = wants(calm(), pins=pins, database__max_connections=100)
    assert "it uses a database" in one(database, "preload-connections").detail
    assert "preload-connections" in ids(wants(calm(), pins=pins, redis__role="cache"))


def test_the_only_redis_is_what_advisor_yml_says() -> None:
    case = store(calm(), maxmemory_policy="allkeys-lru")
    for role, expected in (("cache", False), ("broker", True), ("store", True)):
        assert ("redis-evicts-queue" in ids(wants(case, redis__role=role))) is expected


HIDDEN = "hunter2-correct-horse"


@pytest.mark.parametrize(
    "case",
    [
        wants(calm(), app__environment={"DB_PASSWORD": HIDDEN}),
        wants(calm(), app__environment={"DATABASE_URL": f"postgres://shop:{HIDDEN}@db/shop"}),
        wants(calm(), app__environment={"API_KEY": HIDDEN, "LOG_LEVEL": "info"}),
        of(calm(), settings={"statsd": f"udp://u:{HIDDEN}@stats"}),
        of(calm(), app=f"shop.main:create_app(key='{HIDDEN}')"),
    ],
)
def test_a_secret_is_named_and_never_shown(case: Case) -> None:
    finding = one(case, "secrets-in-sight")
    assert HIDDEN not in finding.model_dump_json()


@pytest.mark.parametrize(
    "environment",
    [
        {"LOG_LEVEL": "info", "PASSENGERS": "4", "TOKENIZERS_PARALLELISM": "false"},
        {"DATABASE_URL": "postgres://db.example/shop", "PUBLIC_KEY_FILE": "/etc/shop/key.pem"},
    ],
)
def test_ordinary_variables_are_no_secrets(environment: dict[str, str]) -> None:
    assert find(wants(calm(), app__environment=environment)) == []


def test_a_factory_without_arguments_is_no_secret() -> None:
    assert find(of(calm(), app="shop.main:create_app()")) == []


def test_what_was_measured_as_it_should_be_is_no_finding() -> None:
    assert find(replace(calm(), measurement=MEASURED)) == []
