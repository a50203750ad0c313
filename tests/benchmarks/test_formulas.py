"""The formulas that people use, with the figures that their authors would get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.regret.apps import CASES, MIB, Case
from benchmarks.regret.formulas import MOST, naive, picks
from benchmarks.regret.points import UVICORN_WORKER, Config

GIB = 1024 * MIB
ASYNC = Case("a", "asgi", "m", "/")
SYNC = Case("s", "wsgi", "m", "/")
SMALL = Case("t", "wsgi", "m", "/", memory_bytes=900 * MIB)


def counts(case: Case, cores: int, ram_bytes: int, rss_bytes: int) -> dict[str, int]:
    found = picks(case, cores=cores, ram_bytes=ram_bytes, worker_rss_bytes=rss_bytes)
    return {name: config.workers for name, config in found.items()}


@pytest.mark.parametrize(
    ("case", "cores", "ram_bytes", "rss_bytes", "expected"),
    [
        (ASYNC, 2, 4 * GIB, 64 * MIB, [5, 2, 5, 48, 1]),
        (ASYNC, 1, 512 * MIB, 64 * MIB, [3, 2, 2, 6, 1]),
        (ASYNC, 8, 64 * GIB, 32 * MIB, [17, 8, 17, MOST, 1]),
        (ASYNC, 2, 200 * MIB, 512 * MIB, [5, 2, 1, 1, 1]),
    ],
)
def test_an_async_app(
    case: Case, cores: int, ram_bytes: int, rss_bytes: int, expected: list[int]
) -> None:
    names = ["2n+1", "image", "Heroku", "Passenger", "fastapi"]
    assert counts(case, cores, ram_bytes, rss_bytes) == dict(zip(names, expected, strict=True))


def test_a_sync_app_has_no_formulas_of_async_ones() -> None:
    assert counts(SYNC, 2, 4 * GIB, 64 * MIB) == {"2n+1": 5, "Heroku": 5, "Passenger": 48}


def test_a_memory_budget_stands_for_the_ram() -> None:
    assert counts(SMALL, 2, 24 * GIB, 180 * MIB) == {"2n+1": 5, "Heroku": 3, "Passenger": 3}


@pytest.mark.parametrize(("case", "name"), [(ASYNC, UVICORN_WORKER), (SYNC, "sync")])
def test_formulas_know_only_the_usual_class(case: Case, name: str) -> None:
    found = picks(case, cores=2, ram_bytes=GIB, worker_rss_bytes=64 * MIB)
    assert {config.worker_class for config in found.values()} == {name}
    assert naive(case.interface) == Config(name, 2)


@given(
    st.sampled_from(CASES),
    st.integers(1, 512),
    st.integers(1, 2**45),
    st.integers(1, 2**36),
)
def test_no_formula_gives_nothing(case: Case, cores: int, ram: int, rss: int) -> None:
    found = picks(case, cores=cores, ram_bytes=ram, worker_rss_bytes=rss)
    assert all(config.workers >= 1 for config in found.values())
    assert found["Passenger"].workers <= MOST
