"""Web and background share the budget: nothing is lost, nothing is given twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.model.sharing import Shares, share

if TYPE_CHECKING:
    from advisor.model.sharing import Kind

MIB = 1024**2
KINDS = st.dictionaries(st.sampled_from(["celery", "rq"]), st.sampled_from(["cpu", "io"]))
CORES = st.floats(0.05, 256)
MEMORY = st.integers(0, 2**40)
PROCESS = st.integers(1, 2**34)


@given(CORES, MEMORY, PROCESS)
def test_without_background_all_is_the_webs(cores: float, memory: int, process: int) -> None:
    assert share(cores, memory, {}, process) == Shares(cores, memory, {}, 0, None)


@given(CORES, MEMORY, KINDS, PROCESS)
def test_what_is_shared_is_all_there_is_and_half_of_the_memory_is_the_webs(
    cores: float, memory: int, kinds: dict[str, Kind], process: int
) -> None:
    found = share(cores, memory, kinds, process)
    assert found.web_memory_bytes + found.background_memory_bytes == memory
    assert found.web_memory_bytes >= memory / 2
    assert cores * 100 / 120 * (1 - 1e-9) <= found.web_cores <= cores
    assert set(found.background) == set(kinds)
    assert all(count >= 0 for count in found.background.values())
    assert (found.background_memory_bytes > 0) == any(found.background.values())


@given(CORES, KINDS, PROCESS)
def test_no_more_memory_never_gives_fewer(
    cores: float, kinds: dict[str, Kind], process: int
) -> None:
    small = share(cores, 512 * MIB, kinds, process).background
    large = share(cores, 4096 * MIB, kinds, process).background
    assert all(large[name] >= small[name] for name in kinds)


@given(CORES, KINDS, PROCESS)
def test_computing_processes_are_no_more_than_the_cores_they_share(
    cores: float, kinds: dict[str, Kind], process: int
) -> None:
    found = share(cores, 2**45, kinds, process)
    computing = [found.background[name] for name, kind in kinds.items() if kind == "cpu"]
    assert sum(computing) <= max(int(cores), len(computing))
    assert all(computing)


@pytest.mark.parametrize(
    ("kinds", "background", "taken", "weight"),
    [
        # Celery's main process, and a child on each of four cores.
        ({"celery": "cpu"}, {"celery": 4}, 500, 20),
        # One process with eight threads a core, of 128 KiB each.
        ({"celery": "io"}, {"celery": 32}, 104, None),
        # RQ forks for each job: twice a process.
        ({"rq": "cpu"}, {"rq": 4}, 800, 20),
        ({"rq": "io"}, {"rq": 8}, 1600, None),
        # The cores and the weight are split; what waits takes no part of either.
        ({"celery": "cpu", "rq": "cpu"}, {"celery": 2, "rq": 2}, 700, 10),
        ({"celery": "io", "rq": "cpu"}, {"celery": 32, "rq": 4}, 904, 20),
    ],
)
def test_on_four_cores(
    kinds: dict[str, Kind], background: dict[str, int], taken: int, weight: int | None
) -> None:
    found = share(4, 8192 * MIB, kinds, 100 * MIB)
    assert found.background == background
    assert found.background_memory_bytes == taken * MIB
    assert found.cpu_weight == weight
    assert found.web_cores == pytest.approx(4 * 100 / 120 if "cpu" in kinds.values() else 4)


def test_little_memory_takes_processes_away_and_then_all_of_them() -> None:
    # Half of 700 MB holds Celery's main process and two children of 100 MB.
    assert share(4, 700 * MIB, {"celery": "cpu"}, 100 * MIB).background == {"celery": 2}
    none = share(4, 300 * MIB, {"celery": "cpu"}, 100 * MIB)
    assert (none.background, none.web_memory_bytes) == ({"celery": 0}, 300 * MIB)


def test_part_of_a_core_still_runs_one_process() -> None:
    assert share(0.5, 8192 * MIB, {"rq": "cpu"}, 100 * MIB).background == {"rq": 1}
