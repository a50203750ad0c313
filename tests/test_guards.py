"""Measurements that carry no recommendation, and those of another host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files, guards
from advisor.documents import Estimate, Facts, Measurement
from advisor.errors import InvalidInput, TooLittleEvidence

EXAMPLES = Path(__file__).parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
DATA: dict[str, Any] = files.load(EXAMPLES / "measurement.json")


def changed(**keys: Any) -> Measurement:
    return files.validate(Measurement, DATA | keys, name="m.json")


def cpu(value: float, low: float, high: float, n: int) -> Measurement:
    return changed(cpu_per_request_s={"value": value, "low": low, "high": high, "n": n})


def failing(errors: int, requests: int) -> Measurement:
    step = DATA["throughput"]["steps"][0] | {"errors": errors}
    return changed(
        throughput=DATA["throughput"] | {"steps": [step]},
        cost=DATA["cost"] | {"requests": requests},
    )


def watched(errors: int, requests: int) -> Measurement:
    observed = {
        "source": "/var/log/nginx/access.log",
        "kind": "access-log",
        "format": None,
        "requests": requests,
        "errors": errors,
        "rate_rps": 1.0,
    }
    return changed(mode="observe", observed=observed, cost=DATA["cost"] | {"requests": 0})


@pytest.mark.parametrize(
    "measurement",
    [
        MEASURED,
        changed(cpu_per_request_s=None),
        failing(49, 100),
        watched(0, 10),
        cpu(0.00019, 0.00019, 0.0002, 2),
        # Intervals of other quantities may well have no width: nothing was ever blocked.
        changed(blocked_per_request_s={"value": 0.0, "low": 0.0, "high": 0.0, "n": 600}),
    ],
    ids=["example", "no CPU seen", "some errors", "watched", "two samples", "never blocked"],
)
def test_what_can_be_used_passes(measurement: Measurement) -> None:
    guards.check(measurement, "m.json")


@pytest.mark.parametrize(
    ("measurement", "named"),
    [
        (changed(cost=DATA["cost"] | {"requests": 0}), "requests: none"),
        (failing(100, 100), "requests: 100 of 100 requests failed"),
        (failing(50, 100), "requests: 50 of 100 requests failed"),
        (watched(0, 0), "requests: none"),
        (watched(7, 7), "requests: 7 of 7 requests failed"),
        (cpu(0.00019, 0.0001, 0.0003, 1), "cpu_per_request_s: 1 sample;"),
        (cpu(0.00019, 0.0001, 0.0003, 0), "cpu_per_request_s: 0 samples;"),
        (cpu(0.00019, 0.00019, 0.00019, 4000), "cpu_per_request_s: all 4,000 samples are alike"),
        (cpu(0, 0, 0.0001, 4000), "cpu_per_request_s: no CPU was counted"),
    ],
)
def test_what_is_missing_is_named(measurement: Measurement, named: str) -> None:
    with pytest.raises(TooLittleEvidence) as caught:
        guards.check(measurement, "m.json")
    assert caught.value.exit_code == 4
    assert caught.value.message.startswith(f"m.json: {named}")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"cpu_per_request_s": {"value": 1, "low": 2, "high": 3, "n": 9}}, "cpu_per_request_s"),
        ({"wait_per_request_s": {"value": 4, "low": 2, "high": 3, "n": 9}}, "wait_per_request_s"),
        ({"latency_s": {"p50": {"value": 1, "low": 0, "high": 0.5, "n": 9}}}, "latency_s.p50"),
    ],
)
def test_an_interval_without_its_value_is_wrong(keys: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=rf"m\.json: {named}: .*out of order") as caught:
        guards.check(changed(**keys), "m.json")
    assert caught.value.exit_code == 2


def test_every_wrong_interval_is_named_at_once() -> None:
    wrong = {"value": 1, "low": 2, "high": 3, "n": 9}
    measurement = changed(cpu_per_request_s=wrong, blocked_per_request_s=wrong)
    assert [line.partition(":")[0] for line in guards.contradictions(measurement)] == [
        "cpu_per_request_s",
        "blocked_per_request_s",
    ]


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 10**6))
def test_it_refuses_or_the_interval_holds_its_value(
    value: float, low: float, high: float, n: int
) -> None:
    measurement = MEASURED.model_copy(
        update={"cpu_per_request_s": Estimate(value=value, low=low, high=high, n=n)}
    )
    try:
        guards.check(measurement, "m.json")
    except (InvalidInput, TooLittleEvidence):
        return
    assert low <= value * (1 + 1e-8)
    assert value <= high * (1 + 1e-8)
    assert value > 0
    assert n > 1


def test_the_same_host_is_known_by_the_server_that_was_measured() -> None:
    assert guards.same_host(FACTS, MEASURED)
    assert guards.elsewhere(FACTS, MEASURED) is None
    worker = changed(target=DATA["target"] | {"pid": FACTS.servers[0].workers[0].pid})
    assert guards.same_host(FACTS, worker)
    # A class that is not known contradicts nothing.
    assert guards.same_host(FACTS, changed(target=DATA["target"] | {"worker_class": None}))


@pytest.mark.parametrize(
    "other",
    [{"pid": 4711}, {"pid": None}, {"server": "uvicorn"}, {"worker_class": "gthread"}],
)
def test_another_process_kind_or_class_is_another_host_s(other: dict[str, Any]) -> None:
    measurement = changed(target=DATA["target"] | other)
    assert not guards.same_host(FACTS, measurement)
    gap = guards.elsewhere(FACTS, measurement)
    assert gap is not None
    assert measurement.target.url in gap.why
    assert FACTS.host.name in gap.why


def test_a_measurement_that_names_its_host_is_known_by_that() -> None:
    restarted = changed(host=FACTS.host.name, target=DATA["target"] | {"pid": 4711})
    assert guards.same_host(FACTS, restarted)
    other = changed(host="web2")
    assert not guards.same_host(FACTS, other)
    gap = guards.elsewhere(FACTS, other)
    assert gap is not None
    assert "measured on web2" in gap.why


def test_a_host_without_servers_is_another() -> None:
    assert not guards.same_host(FACTS.model_copy(update={"servers": []}), MEASURED)
