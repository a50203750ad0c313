"""What waking up takes: by the lightest load where that tells it, else by a null app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor import files
from advisor.documents import ClassCost, Estimate, Measurement
from advisor.evidence.waking import COLDER, LIKELY_WAKE_S, MOST_NAP_S, TWICE, Waking, waking
from advisor.model.classes import GEVENT, GTHREAD, SYNC
from advisor.model.waking import asleep, bunched, coldness, hopping_s

MEASURED = files.read(Measurement, Path(__file__).parents[1] / "examples" / "measurement.json")
WAITS_S = 0.020


def first_step(seen: Measurement, **changed: Any) -> Measurement:
    """The measurement with its lightest load alone, and that changed."""
    step = seen.throughput.steps[0].model_copy(update=changed)
    throughput = seen.throughput.model_copy(update={"steps": [step]})
    return seen.model_copy(update={"throughput": throughput})


def measured(
    cpu_s: float, used: float, *, lone_s: float | None = None, **costs: float | None
) -> Measurement:
    """On one core: a request took `cpu_s` while `used` of it computed, and `lone_s` 40 a second."""
    evidence: dict[str, Any] = {"server_cpu_cores": used, "cpu_left_cores": 1.0}
    lone = {"cpu_per_request_s": lone_s, "server_cpu_cores": 40 * lone_s if lone_s else None}
    return first_step(MEASURED, **lone).model_copy(
        update={
            "cpu_per_request_s": Estimate(value=cpu_s, low=cpu_s, high=cpu_s, n=1000),
            "limiter": MEASURED.limiter.model_copy(update={"evidence": evidence}),
            "class_costs": {
                name: ClassCost(cpu_s=0.0001, held_s=0.0001, wake_s=wake)
                for name, wake in costs.items()
            },
        }
    )


def test_a_busy_core_is_never_cold_and_a_resting_one_by_degrees() -> None:
    colds = [coldness(seconds) for seconds in (0.0, 0.001, 0.004, 0.04, float("inf"))]
    assert colds == sorted(colds)
    assert (colds[0], colds[2], colds[-1]) == (0.0, 0.5, 1.0)


def test_the_lightest_load_tells_what_waking_up_takes() -> None:
    """A FastAPI route of the shared facts' kind: 0.9 ms on a full core, 2 ms at 40 a second."""
    found = waking(measured(0.0009, 0.98, lone_s=0.002, sync=0.0001), SYNC, WAITS_S, together=0.0)
    assert found.paid_s < 0.00001
    rest_s = 1 / 40 - 0.002
    assert found.wake_s * coldness(rest_s) == pytest.approx(0.0011, rel=0.01)


def test_a_first_step_of_several_connections_is_no_lone_request() -> None:
    seen = measured(0.0009, 0.98, lone_s=0.002, sync=0.0001)
    assert waking(
        first_step(seen, connections=2), SYNC, WAITS_S, together=0.0
    ).wake_s == pytest.approx(COLDER * TWICE * 0.0001)


def test_one_that_asks_again_at_once_tells_what_any_sleep_takes() -> None:
    """A route of 193 µs on eight connections, of 249 on one that hardly lets the core rest."""
    seen = computing(0.000193, lone_s=0.000249)
    found = waking(seen, SYNC, 0.0, together=0.0)
    assert found.wake_s == pytest.approx(COLDER * 0.0003)
    assert found.nap_s == pytest.approx(0.000056 / (1 - asleep(0.98, 8)))
    assert 0 < found.paid_s < 0.2 * found.nap_s
    # One that was always alone, or took implausibly much, tells little.
    assert waking(computing(0.000193, lone_s=0.001), SYNC, 0.0, together=0.0).nap_s == MOST_NAP_S
    assert (
        waking(computing(0.000193, lone_s=0.000249, each=1), SYNC, 0.0, together=0.0).nap_s == 0.0
    )


def computing(cpu_s: float, *, lone_s: float, each: int = 8) -> Measurement:
    """One worker on a full core with `each` connections; alone a request took four fifths of it."""
    seen = measured(cpu_s, 0.98, lone_s=lone_s, sync=0.0003)
    evidence = seen.limiter.evidence | {"connections": each}
    return first_step(seen, server_cpu_cores=0.8, connections=1).model_copy(
        update={
            "target": seen.target.model_copy(update={"workers": 1}),
            "limiter": seen.limiter.model_copy(update={"evidence": evidence}),
        }
    )


def test_a_null_app_tells_where_the_cores_always_rested() -> None:
    resting = measured(0.002, 0.17, lone_s=0.0021, sync=0.0008, gthread=0.0007)
    found = waking(resting, SYNC, WAITS_S, together=0.0)
    assert found.wake_s == pytest.approx(TWICE * COLDER * 0.0008)
    assert found.paid_s == 0.001  # never more than half of what was measured
    # One that waits for nothing is woken once. Another class stands for one without a figure.
    assert waking(resting, SYNC, 0.0, together=0.0).wake_s == pytest.approx(COLDER * 0.0008)
    assert waking(resting, GEVENT, 0.0, together=0.0).wake_s == pytest.approx(COLDER * 0.0008)


def test_threads_that_wait_paid_for_another_core_however_busy_theirs_were() -> None:
    busy = measured(0.0011, 1.96, sync=0.0004)
    busy = busy.model_copy(
        update={
            "limiter": busy.limiter.model_copy(
                update={"evidence": {"server_cpu_cores": 1.96, "cpu_left_cores": 2.0}}
            ),
            "target": busy.target.model_copy(update={"workers": 4}),
        }
    )
    alone, threads = (waking(busy, each, WAITS_S, together=0.0) for each in (SYNC, GTHREAD))
    assert alone.paid_s < 0.00005
    assert threads.paid_s == hopping_s(threads.wake_s, WAITS_S, workers=4, cores=2.0) > 0.0002
    assert waking(busy, GTHREAD, 0.0, together=0.0).paid_s < 0.00005


def test_without_either_a_little_is_likely() -> None:
    found = waking(measured(0.002, 0.17, sync=None), SYNC, WAITS_S, together=0.0)
    assert found.wake_s == LIKELY_WAKE_S
    assert 0 < found.paid_s < found.wake_s < found.most_s


def test_nothing_is_said_where_nobody_knows_how_the_cores_rested() -> None:
    limiter = MEASURED.limiter.model_copy(update={"evidence": {}})
    hidden = MEASURED.model_copy(update={"limiter": limiter})
    assert waking(hidden, SYNC, WAITS_S, together=0.0) == Waking(0.0, 0.0, 0.0, 0.0)


def test_those_that_come_together_are_woken_once() -> None:
    """A pool of five took 1.35 ms of CPU a request on resting cores and 1.09 on full ones."""
    assert bunched(0.004, 5, 0.0) == bunched(0.004, 1, 1.0) == coldness(0.004)
    assert bunched(0.004, 0.2, 1.0) == coldness(0.004)
    assert bunched(0.004, 5, 1.0) == pytest.approx(coldness(0.020) / 5)
    assert bunched(0.004, 5, 1.0) < bunched(0.004, 5, 0.5) < bunched(0.004, 5, 0.0)


@pytest.mark.parametrize(("rps", "each"), [(230.0, 5), (1.0, 1)])
def test_a_pool_whose_requests_come_together_paid_for_one_of_them(rps: float, each: int) -> None:
    resting = measured(0.0013, 0.3, sync=0.0004)
    knee = Estimate(value=rps, low=rps, high=rps, n=20)
    resting = resting.model_copy(
        update={
            "throughput": resting.throughput.model_copy(update={"knee_rps": knee}),
            "target": resting.target.model_copy(update={"workers": 1}),
        }
    )
    apart, together = (waking(resting, SYNC, WAITS_S, share) for share in (0.0, 1.0))
    rest_s = 0.7 * 0.0013 / 0.3
    assert apart.paid_s == pytest.approx(min(0.00065, apart.wake_s * coldness(rest_s)))
    share = bunched(rest_s, rps * (0.0013 + WAITS_S), 1.0)
    assert together.paid_s == pytest.approx(min(0.00065, together.wake_s * share))
    assert (together.paid_s < apart.paid_s / 2) == (each == 5)
