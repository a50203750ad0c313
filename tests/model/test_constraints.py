"""Each limit, just kept and just broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.model.classes import GTHREAD, SYNC, UVICORN_WORKER
from advisor.model.constraints import (
    OWN_DESCRIPTORS,
    Constraints,
    Pins,
    broken,
    connections,
    descriptors,
    queued,
)
from advisor.model.memory import MemoryCost
from advisor.model.service import Configuration

MIB = 1024**2
COST = MemoryCost(20 * MIB, 30 * MIB, 0, 1.0, 1.0, measured=True)
FREE = Constraints(2, 1024 * MIB, "a test", 0.5, 64)
SYNC_4 = Configuration(SYNC, 4)
THREADS_2_8 = Configuration(GTHREAD, 2, 8)
LOOP_2 = Configuration(UVICORN_WORKER, 2)


@pytest.mark.parametrize(
    ("config", "kept", "name"),
    [
        (SYNC_4, {"memory_bytes": (20 + 8 * 30) * MIB}, "memory"),
        (THREADS_2_8, {"database": 32}, "database"),
        (LOOP_2, {"database": 4}, "database"),
        (LOOP_2, {"descriptors": OWN_DESCRIPTORS + 128}, "descriptors"),
        (THREADS_2_8, {"descriptors": OWN_DESCRIPTORS + 16}, "descriptors"),
        (SYNC_4, {"queue": 60}, "queue"),
    ],
)
def test_a_limit_is_kept_up_to_its_value_and_broken_below(
    config: Configuration, kept: dict[str, int], name: str
) -> None:
    assert broken(config, COST, replace(FREE, **kept), Pins()) is None
    less = {key: value - 1 for key, value in kept.items()}
    assert broken(config, COST, replace(FREE, **less), Pins()) == name


def test_a_reload_boots_in_time_or_as_it_was_pinned() -> None:
    slow = replace(FREE, boot_cpu_s=8)
    assert broken(SYNC_4, COST, slow, Pins()) == "boot_cpu"
    assert broken(SYNC_4, COST, slow, Pins(workers=4)) is None
    assert broken(Configuration(SYNC, 1), COST, replace(slow, boot_cpu_s=60), Pins()) is None


def test_what_a_configuration_takes() -> None:
    assert connections(THREADS_2_8) == 2 * 2 * 8, "twice, for the reload"
    assert connections(LOOP_2, pool=4) == 2 * 2 * 4
    assert descriptors(SYNC_4, 64) == OWN_DESCRIPTORS + 2
    assert queued(SYNC_4, 64) == 60
    assert queued(LOOP_2, 64) == 0, "a loop accepts all"
