from __future__ import annotations

from pathlib import Path

import pytest

from advisor import files
from advisor.documents import Measurement, Worker
from advisor.report.measurement import table

EXAMPLE = files.read(Measurement, Path(__file__).parent.parent / "examples" / "measurement.json")
BLACK_BOX = EXAMPLE.model_copy(
    update={
        "target": EXAMPLE.target.model_copy(
            update={"server": None, "pid": None, "workers": None, "worker_class": None}
        ),
        "cpu_per_request_s": None,
        "wait_per_request_s": None,
        "blocked_per_request_s": None,
        "workers": [],
        "latency_s": {"p50": None, "p99": None},
        "throughput": EXAMPLE.throughput.model_copy(update={"knee_rps": None}),
        "cost": EXAMPLE.cost.model_copy(update={"server_cpu_s": None}),
    }
)


def test_the_example() -> None:
    text = table(EXAMPLE)
    for part in (
        "http://127.0.0.1:8000/items",
        "gunicorn (uvicorn_worker.UvicornWorker), pid 812, 2 workers",
        "Limited by: cpu (93% sure)",
        "190 µs (±4 %)",
        "8,900/s",
        "2.4 ms / 8.8 ms",
        "31 M PSS each; the busiest did 52% of the work",
        "402.0",
        "43,120 requests, 26 s",
        "memory growth: the interval holds zero",
        "-> --observe 3600",
    ):
        assert part in text, text
    assert text.index("Limited by") < text.index("CPU per request") < text.index("Not known")


def test_what_was_not_measured_is_unknown_and_no_number() -> None:
    text = table(BLACK_BOX)
    assert "processes not seen" in text
    assert text.count("unknown") >= 4
    assert "not found" in text


def test_a_server_without_an_event_loop_has_none_to_block() -> None:
    assert "loop blocked" in table(EXAMPLE)
    sync = EXAMPLE.model_copy(update={"blocked_per_request_s": None})
    assert "loop blocked" not in table(sync)


@pytest.mark.parametrize("measured", [EXAMPLE, BLACK_BOX], ids=["whole", "black box"])
def test_it_fits_a_terminal(measured: Measurement) -> None:
    many = [Worker(pid=number, pss_bytes=1 << 30, uss_bytes=1) for number in range(1, 65)]
    for each in (measured, measured.model_copy(update={"workers": many})):
        assert max(map(len, table(each).splitlines())) <= 80
