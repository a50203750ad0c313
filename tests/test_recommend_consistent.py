"""A recommendation without pins keeps every order across components, whatever is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Estimate, Facts, Measurement, Recommendation
from advisor.errors import NothingFeasible
from advisor.intent import Intent
from advisor.recommend import recommend
from advisor.rules.consistency import ORDERS

EXAMPLES = Path(__file__).parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
SERVER = FACTS.servers[0]
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
MIB = 1024**2
CHECKED = {order.id for order in ORDERS} | {"pin-without-effect"}
SERVERS = {
    "wsgi": ["gunicorn", "granian"],
    "asgi": ["gunicorn", "uvicorn", "hypercorn", "granian"],
}
CLASSES = {
    "wsgi": ["sync", "gthread", "gevent", "granian"],
    "asgi": ["uvicorn_worker.UvicornWorker", "asgi", "uvicorn", "hypercorn", "granian"],
}


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value * 0.97, high=value * 1.03, n=4000)


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Hosts large and small, with what is on them known or not."""
    kept = draw(st.sets(st.sampled_from(sorted(FACTS.components))))
    cpus = draw(st.sampled_from([0.5, 1, 2, 7.5, 64]))
    return FACTS.model_copy(
        update={
            "components": {name: FACTS.components[name] for name in kept},
            "cpu": FACTS.cpu.model_copy(update={"effective": cpus, "limits": []}),
            "kernel": FACTS.kernel.model_copy(
                update={"somaxconn": draw(st.sampled_from([None, 64, 128, 4096, 65535]))}
            ),
        }
    )


@st.composite
def measurements(draw: st.DrawFn, interface: str) -> Measurement | None:
    """What an app of that interface may have done; None for one that was not measured."""
    if draw(st.booleans()):
        return None
    cpu = draw(st.floats(1e-5, 0.5))
    wait = draw(st.floats(0, 2))
    blocked = draw(st.sampled_from([0.0, 0.05]))
    p99 = estimate((cpu + wait + blocked) * draw(st.floats(1, 100)))
    growth = draw(st.sampled_from([None, estimate(200)]))
    tokens = draw(st.booleans())
    evidence = {"in_service_per_worker": 39.6, "tokens": 40} if tokens else {}
    verdict = "event-loop-blocked" if blocked else "concurrency" if tokens else "cpu"
    worker_class = draw(st.sampled_from(CLASSES[interface]))
    return MEASURED.model_copy(
        update={
            "target": MEASURED.target.model_copy(update={"worker_class": worker_class}),
            "limiter": MEASURED.limiter.model_copy(
                update={"verdict": verdict, "evidence": evidence}
            ),
            "cpu_per_request_s": estimate(cpu),
            "wait_per_request_s": estimate(wait + blocked),
            "blocked_per_request_s": estimate(blocked),
            "latency_s": {"p50": estimate(p99.value / 2), "p99": p99},
            "memory_growth_bytes_per_request": growth,
        }
    )


@st.composite
def intents(draw: st.DrawFn, interface: str) -> Intent:
    """An advisor.yml without pins."""

    def perhaps(**given_: Any) -> dict[str, Any]:
        return given_ if draw(st.booleans()) else {}

    hosts = draw(st.integers(0, 3))
    data = {
        "app": {"module": "shop.main:app", "interface": interface},
        "server": draw(st.sampled_from(SERVERS[interface])),
        "proxy": draw(st.sampled_from(["nginx", "caddy", "none"])),
        **perhaps(listen=draw(st.sampled_from(["unix", "127.0.0.1:8000"]))),
        **perhaps(domain="shop.example", tls={"acme": True}),
        **perhaps(hosts=[f"10.0.0.{number + 1}:8000" for number in range(hosts)]),
        **perhaps(targets={"concurrency": draw(st.integers(1, 5000))}),
        **perhaps(targets={"rate_rps": draw(st.floats(1, 1e4))}),
        **perhaps(limits={"request_body": draw(st.sampled_from(["1K", "10M", "5G"]))}),
        **perhaps(database={"max_connections": draw(st.integers(8, 2000)), "reserved": 3}),
        **perhaps(routes={"/ws": "websocket", "/events": "stream"}),
        **perhaps(redis={"role": draw(st.sampled_from(["cache", "broker", "store"]))}),
        **perhaps(background={"celery": {"app": "shop.tasks", "kind": "cpu"}}),
    }
    return files.validate(Intent, data, name="advisor.yml")


def broken(rec: Recommendation) -> list[str]:
    return [finding.detail for finding in rec.findings if finding.id in CHECKED]


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@given(data=st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_without_pins_every_order_holds(interface: str, data: st.DataObject) -> None:
    try:
        rec = recommend(
            data.draw(facts()),
            data.draw(measurements(interface)),
            data.draw(intents(interface)),
            server=data.draw(st.sampled_from([None, SERVER])),
            memory_bytes=data.draw(st.integers(300, 65536)) * MIB,
        )
    # A budget, database or queue that holds no worker.
    except NothingFeasible:
        return
    assert broken(rec) == []


# A pin, what else is asked for, and the order that it breaks.
PINS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"gunicorn.keepalive": 2}, {}, "keepalive-order"),
    ({"gunicorn.keepalive": 2}, {"proxy": "caddy"}, "keepalive-order"),
    ({"uvicorn.timeout_keep_alive": 5}, {"server": "uvicorn"}, "keepalive-order"),
    (
        {"hypercorn.keep_alive_timeout": 5},
        {"server": "hypercorn", "proxy": "caddy"},
        "keepalive-order",
    ),
    ({"nginx.upstream_keepalive_timeout": 75}, {"server": "granian"}, "keepalive-order"),
    ({"nginx.proxy_read_timeout": 5}, {}, "timeout-order"),
    ({"systemd.timeout_stop_sec": 5}, {}, "stop-order"),
    ({"gunicorn.backlog": 60000, "sysctl.somaxconn": 4096}, {}, "backlog-somaxconn"),
    (
        {"nginx.client_max_body_size": MIB},
        {"limits": {"request_body": "10M"}},
        "body-order",
    ),
    ({"sqlalchemy.pool_size": 90}, {"database": {"max_connections": 100}}, "pool-order"),
    ({"systemd.memory_max": 64 * MIB}, {}, "memory-need"),
    ({"systemd.tasks_max": 16}, {}, "tasks"),
    ({"systemd.limit_nofile": 64}, {"targets": {"concurrency": 200}}, "descriptors"),
    (
        {"gunicorn.max_requests": 1000, "gunicorn.max_requests_jitter": 0},
        {},
        "renewal-order",
    ),
    ({"granian.backlog": 512}, {}, "pin-without-effect"),
]


@pytest.mark.parametrize(("pins", "more", "order"), PINS, ids=lambda each: str(each)[:40])
def test_a_pin_that_breaks_an_order_is_found(
    pins: dict[str, Any], more: dict[str, Any], order: str
) -> None:
    data = {"app": {"module": "shop.main:app"}, "pins": pins, **more}
    intent = files.validate(Intent, data, name="advisor.yml")
    rec = recommend(FACTS, MEASURED, intent, server=SERVER)
    assert order in {finding.id for finding in rec.findings}
    finding = next(finding for finding in rec.findings if finding.id == order)
    assert all(pin in finding.remedy or pin in finding.title for pin in list(pins)[:1])
