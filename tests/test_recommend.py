"""The whole of a recommendation, joined from documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Estimate, Facts, Measurement, Recommendation, Setting
from advisor.errors import InvalidInput, NothingFeasible, TooLittleEvidence
from advisor.intent import Intent
from advisor.recommend import recommend, require_measured

EXAMPLES = Path(__file__).parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
SERVER = FACTS.servers[0]
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
FLASK = SERVER.model_copy(update={"app": "shop:app", "worker_class": "sync"})
MIB = 1024**2


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value * 0.97, high=value * 1.03, n=4000)


def measured(worker_class: str, cpu: float, wait: float, blocked: float = 0.0) -> Measurement:
    verdict = "event-loop-blocked" if blocked else "cpu"
    return MEASURED.model_copy(
        update={
            "target": MEASURED.target.model_copy(update={"worker_class": worker_class}),
            "limiter": MEASURED.limiter.model_copy(update={"verdict": verdict}),
            "cpu_per_request_s": estimate(cpu),
            "wait_per_request_s": estimate(wait),
            "blocked_per_request_s": estimate(blocked),
        }
    )


def want(**keys: Any) -> Intent:
    return files.validate(Intent, {"app": {"module": "shop.main:app"}, **keys}, name="advisor.yml")


def made(measurement: Measurement | None = MEASURED, **how: Any) -> Recommendation:
    given_: dict[str, Any] = {"server": SERVER} | how
    intent = given_.pop("intent", None)
    return recommend(given_.pop("facts", FACTS), measurement, intent, **given_)


def setting(rec: Recommendation, id_: str) -> Setting:
    return next(setting for setting in rec.settings if setting.id == id_)


def values(rec: Recommendation) -> dict[str, Any]:
    return {setting.id: setting.value for setting in rec.settings}


def findings(rec: Recommendation) -> set[str]:
    return {finding.id for finding in rec.findings}


def test_the_example_measurement() -> None:
    rec = made()
    got = values(rec)
    assert got["gunicorn.workers"] == 2
    assert got["gunicorn.worker_class"] == "uvicorn_worker.UvicornWorker"
    assert got["gunicorn.keepalive"] > got["nginx.upstream_keepalive_timeout"]
    assert got["nginx.proxy_read_timeout"] > got["gunicorn.timeout"]
    assert got["systemd.timeout_stop_sec"] > got["gunicorn.graceful_timeout"]
    assert {id_.partition(".")[0] for id_ in got} == {"gunicorn", "nginx", "systemd"}
    assert setting(rec, "gunicorn.workers").confidence == "high"
    seen = rec.prediction.throughput_rps
    assert seen is not None
    # The knee that was measured on two workers lies in the interval.
    assert seen.low < 8900 < seen.high
    assert rec.prediction.latency_p99_s is None
    assert "latency_p99_s" in {entry.what for entry in rec.unknown}


def test_it_is_a_document_that_survives_its_file() -> None:
    rec = made()
    for is_json in (True, False):
        text = files.dump(rec, is_json=is_json)
        data = files.parse(text, name="rec", is_json=is_json)
        assert files.validate(Recommendation, data, name="rec") == rec


def test_it_is_deterministic() -> None:
    assert files.dump(made(), is_json=True) == files.dump(made(), is_json=True)


def test_a_waiting_flask_app_gets_threads() -> None:
    rec = made(measured("sync", 0.0003, 0.040), server=FLASK, concurrency=64)
    got = values(rec)
    assert got["gunicorn.worker_class"] == "gthread"
    assert got["gunicorn.threads"] >= 64
    assert 1 <= got["gunicorn.workers"] <= 3
    assert rec.prediction.throughput_rps is not None
    assert rec.prediction.throughput_rps.low > 5 * 5 / 0.0403
    # Another class than the one that was measured.
    assert setting(rec, "gunicorn.workers").confidence == "medium"


def test_a_computing_flask_page_gets_sync_and_no_keepalive() -> None:
    got = values(made(measured("sync", 0.002, 0.0), server=FLASK))
    assert (got["gunicorn.worker_class"], got["gunicorn.workers"]) == ("sync", 2)
    assert "gunicorn.keepalive" not in got
    assert "nginx.upstream_keepalive" not in got


def test_a_blocked_loop_is_a_finding_with_both_outcomes() -> None:
    rec = made(measured("uvicorn", 0.0003, 0.050, blocked=0.050), concurrency=64)
    assert values(rec)["gunicorn.workers"] > 10
    finding = next(finding for finding in rec.findings if finding.id == "event-loop-blocked")
    assert "once mended: 1 worker," in finding.detail
    assert rec.findings[0] is finding


def test_def_routes_on_forty_threads_get_more_workers_and_a_finding() -> None:
    seen = measured("uvicorn", 0.0003, 0.050)
    evidence = {"in_service_per_worker": 39.6, "tokens": 40}
    limiter = seen.limiter.model_copy(update={"verdict": "concurrency", "evidence": evidence})
    rec = made(seen.model_copy(update={"limiter": limiter}), concurrency=320)
    assert values(rec)["gunicorn.workers"] > 4
    assert "app-limit" in findings(rec)
    free = made(seen, concurrency=320)
    assert values(free)["gunicorn.workers"] == 2
    assert "app-limit" not in findings(free)


def test_without_a_measurement_it_falls_back_and_says_so() -> None:
    rec = made(None)
    got = values(rec)
    assert (got["gunicorn.workers"], got["gunicorn.threads"]) == (2, 1)
    assert setting(rec, "gunicorn.workers").confidence == "low"
    assert rec.prediction.throughput_rps is None
    assert any("advisor recommend URL" in entry.remedy for entry in rec.unknown)
    flask = values(made(None, server=FLASK))
    assert (flask["gunicorn.worker_class"], flask["gunicorn.threads"]) == ("gthread", 8)


def test_a_black_box_measurement_falls_back_too() -> None:
    rec = made(MEASURED.model_copy(update={"cpu_per_request_s": None}))
    assert setting(rec, "gunicorn.workers").confidence == "low"
    assert any("own host" in entry.remedy for entry in rec.unknown)


@pytest.mark.parametrize("verdict", ["client", "unknown"])
def test_a_measurement_without_a_verdict_is_less_sure_and_says_why(verdict: str) -> None:
    limiter = MEASURED.limiter.model_copy(update={"verdict": verdict, "why": "steal"})
    rec = made(MEASURED.model_copy(update={"limiter": limiter}))
    assert setting(rec, "gunicorn.workers").confidence == "medium"
    assert ("what limits the app", "steal") in {(e.what, e.why) for e in rec.unknown}


@pytest.mark.parametrize("cpus", [0.25, 1])
def test_one_cpu_or_less_is_one_worker(cpus: float) -> None:
    for measurement in (MEASURED, None):
        assert values(made(measurement, cpus=cpus))["gunicorn.workers"] == 1


def test_64_megabytes_hold_nothing() -> None:
    for measurement in (MEASURED, None):
        with pytest.raises(NothingFeasible) as caught:
            made(measurement, memory_bytes=64 * MIB)
        assert "(--memory)" in caught.value.message
        assert caught.value.exit_code == 3


def test_the_command_line_wins_over_advisor_yml_which_wins_over_the_host() -> None:
    intent = want(budget={"memory": "1G", "cpus": 3}, targets={"concurrency": 30})
    assert values(made(intent=intent))["gunicorn.workers"] == 3
    assert made(intent=intent).prediction.concurrency == 30
    assert setting(made(intent=intent), "systemd.memory_max").value == 1024 * MIB
    over = made(intent=intent, cpus=1, memory_bytes=512 * MIB, concurrency=7)
    assert values(over)["gunicorn.workers"] == 1
    assert over.prediction.concurrency == 7
    assert setting(over, "systemd.memory_max").value == 512 * MIB


def test_a_budget_beyond_the_host_is_kept_and_said() -> None:
    rec = made(cpus=8)
    assert values(rec)["gunicorn.workers"] == 8
    assert "budget-over-host" in findings(rec)


def test_more_than_1024_in_flight_is_clamped_and_said() -> None:
    rec = made(measured("uvicorn_worker.UvicornWorker", 0.0001, 0.5))
    assert rec.prediction.concurrency == 1024
    assert "concurrency" in {entry.what for entry in rec.unknown}


def test_targets_are_met_or_found_out_of_reach() -> None:
    met = made(intent=want(targets={"rate_rps": 2000, "p99_s": 0.5}))
    assert "targets-not-met" not in findings(met)
    assert met.prediction.latency_p99_s is not None
    assert setting(met, "gunicorn.workers").binding == "targets"
    missed = made(intent=want(targets={"rate_rps": 1_000_000}))
    assert "targets-not-met" in findings(missed)
    assert any(
        entry.what == "targets.p99_s" for entry in made(intent=want(targets={"p99_s": 1})).unknown
    )


def test_a_leak_renews_workers_and_is_found() -> None:
    leak = MEASURED.model_copy(update={"memory_growth_bytes_per_request": estimate(200)})
    rec = made(leak)
    assert values(rec)["gunicorn.max_requests"] > 1000
    assert values(rec)["gunicorn.max_requests_jitter"] == values(rec)["gunicorn.max_requests"] // 10
    assert "memory-leak" in findings(rec)


def test_pins_are_kept_and_checked_against_the_rest() -> None:
    rec = made(intent=want(pins={"gunicorn.workers": 4, "gunicorn.keepalive": 2}))
    pinned = setting(rec, "gunicorn.workers")
    assert (pinned.value, pinned.pinned, pinned.binding) == (4, True, "pins")
    assert "keepalive-order" in findings(rec)
    assert rec.prediction.memory_bytes is not None
    assert made().prediction.memory_bytes is not None
    unpinned = made().prediction.memory_bytes
    assert unpinned is not None
    assert rec.prediction.memory_bytes.value > unpinned.value


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"gunicorn.wrokers": 4}, r"pins: gunicorn\.wrokers: unknown setting"),
        ({"gunicorn.workers": "4"}, r"pins: gunicorn\.workers: .*integer, not '4'"),
        ({"gunicorn.workers": 0}, r"pins: gunicorn\.workers: .*greater than 0, not 0"),
        ({"gunicorn.workers": None}, r"pins: gunicorn\.workers: .*not None"),
        ({"gunicorn.worker_class": "gevnet"}, r"pins: gunicorn\.worker_class: .*'sync'"),
        ({"gunicorn.worker_class": "sync"}, r"sync runs WSGI apps, but app\.interface is asgi"),
        ({"gunicorn.worker_tmp_dir": "/a;b"}, r"pins: gunicorn\.worker_tmp_dir: .*not '/a;b'"),
        ({"nginx.proxy_buffering": "on"}, r"pins: nginx\.proxy_buffering: .*boolean, not 'on'"),
    ],
)
def test_wrong_pins_are_refused_by_name(pins: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        made(intent=want(pins=pins))


def test_pins_that_contradict_each_other_are_both_named() -> None:
    pins = {"gunicorn.worker_class": "sync", "gunicorn.threads": 4}
    with pytest.raises(InvalidInput, match=r"sync and gunicorn\.threads: 4 contradict"):
        made(None, server=FLASK, intent=want(pins=pins))


def test_an_impossible_pin_is_nothing_feasible() -> None:
    with pytest.raises(NothingFeasible, match=r"gunicorn\.workers pinned to 900"):
        made(intent=want(pins={"gunicorn.workers": 900}))


def test_an_unknown_gunicorn_leaves_the_control_socket_unknown() -> None:
    bare = FACTS.model_copy(update={"components": {}})
    rec = made(facts=bare)
    left = setting(rec, "gunicorn.control_socket_disable")
    assert (left.value, left.confidence) == (None, "low")
    assert "the version is not known" in left.why


def test_without_a_proxy_nothing_of_nginx_is_said() -> None:
    rec = made(intent=want(proxy="none"))
    assert not [id_ for id_ in values(rec) if id_.startswith("nginx.")]
    assert not [entry for entry in rec.unknown if entry.what.startswith("nginx.")]
    assert "no-domain" not in findings(rec)


def test_no_app_is_too_little_evidence() -> None:
    with pytest.raises(TooLittleEvidence):
        made(None, server=None)


def test_measured_is_required() -> None:
    require_measured(MEASURED)
    for lacking in (None, MEASURED.model_copy(update={"cpu_per_request_s": None})):
        with pytest.raises(TooLittleEvidence, match="--require-measured"):
            require_measured(lacking)


@given(
    st.floats(1e-5, 1),
    st.floats(0, 2),
    st.floats(0, 1),
    st.floats(0.1, 64),
    st.integers(128, 65536),
    st.sampled_from(["sync", "gthread", "uvicorn", "uvicorn_worker.UvicornWorker", "gevent"]),
)
def test_any_measurement_gives_a_whole_recommendation_or_says_what_does_not_fit(
    cpu: float, wait: float, blocked: float, cpus: float, megabytes: int, worker_class: str
) -> None:
    seen = measured(worker_class, cpu, wait + blocked, blocked)
    try:
        rec = made(seen, cpus=cpus, memory_bytes=megabytes * MIB, concurrency=50)
    except NothingFeasible:
        assert megabytes < 256
        return
    got = values(rec)
    assert got["gunicorn.workers"] >= 1
    assert got["systemd.memory_high"] <= got["systemd.memory_max"]
    assert not findings(rec) & {"keepalive-order", "timeout-order", "stop-order", "memory-need"}


def test_a_measurement_of_another_host_is_said_to_be_one() -> None:
    there = MEASURED.model_copy(update={"host": "elsewhere"})
    (gap,) = (gap for gap in made(there).unknown if gap.what == "CPU per request on this host")
    assert "was measured on elsewhere" in gap.why
    assert "CPU per request on this host" not in {gap.what for gap in made().unknown}
