"""From documents to the joint choice: budgets, shares, pins, and what other inputs would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor import files
from advisor.documents import Facts, Measurement
from advisor.errors import InvalidInput, NothingFeasible
from advisor.intent import Intent
from advisor.planning import Asked, Planning, prepare
from advisor.resolve import resolve

EXAMPLES = Path(__file__).parent / "examples"
FACTS = files.read(Facts, EXAMPLES / "facts.json")
MEASURED = files.read(Measurement, EXAMPLES / "measurement.json")
# Inputs that nobody varies: a name, and what no choice of ours changes.
FIXED = {"cpu.binding", "memory_base_bytes"}


def planned(
    measurement: Measurement | None = MEASURED, asked: Asked | None = None, **keys: Any
) -> Planning:
    intent = Intent.model_validate(
        {"app": {"module": "shop.main:app", "interface": "asgi"}, **keys}
    )
    resolved = resolve(intent, None, measurement, FACTS.components)
    return prepare(FACTS, measurement, resolved, server=None, asked=asked or Asked())


def test_the_command_line_wins_over_advisor_yml() -> None:
    both = planned(asked=Asked(64, 1.5, 2**30), budget={"cpus": 4, "memory": "4G"})
    assert (both.limits.cores, both.limits.memory_bytes, both.limits.concurrency) == (
        1.5,
        2**30,
        64,
    )
    assert (both.cores.source, both.memory.source) == ("--cpus", "--memory")
    file = planned(budget={"cpus": 4, "memory": "4G"}, targets={"concurrency": 32})
    assert (file.limits.cores, file.limits.memory_bytes, file.limits.concurrency) == (4, 2**32, 32)


def test_background_work_takes_its_share_of_cpu_and_memory() -> None:
    alone = planned(budget={"cpus": 2, "memory": "4G"})
    beside = planned(
        budget={"cpus": 2, "memory": "4G"},
        background={"celery": {"app": "shop.tasks", "kind": "cpu"}},
    )
    assert beside.limits.cores < alone.limits.cores
    assert beside.limits.memory_bytes < alone.limits.memory_bytes
    assert beside.shares.background["celery"] >= 1


def test_a_database_is_shared_by_all_hosts() -> None:
    two = planned(
        database={"max_connections": 100, "reserved": 10}, hosts=["10.0.0.1:80", "10.0.0.2:80"]
    )
    assert two.limits.database == 45
    assert planned().limits.database is None


def test_instances_behind_sockets_of_one_host_share_it() -> None:
    budget = {"cpus": 2, "memory": "4G"}
    alone = planned(budget=budget)
    one_of_two = planned(budget=budget, hosts=["unix:/run/a/a.sock", "unix:/run/b/b.sock"])
    assert one_of_two.limits.cores == alone.limits.cores / 2
    assert one_of_two.limits.memory_bytes == alone.limits.memory_bytes // 2


def test_a_server_of_ones_own_choice_gets_its_own_class_and_pins() -> None:
    granian = planned(server="granian", pins={"granian.workers": 3})
    assert {each.name for each in granian.classes} == {"granian"}
    assert granian.plan().config.workers == 3
    with pytest.raises(InvalidInput, match="uvicorn runs no WSGI apps"):
        planned(server="uvicorn", app={"module": "shop", "interface": "wsgi"})


def test_measured_on_another_host_the_interval_is_wider() -> None:
    here = MEASURED.model_copy(update={"host": FACTS.host.name})
    there = MEASURED.model_copy(update={"host": "elsewhere"})
    near, far = planned(here), planned(there)
    assert (near.elsewhere, far.elsewhere) == (False, True)
    assert near.demand is not None
    assert far.demand is not None
    assert far.demand.cpu_s == near.demand.cpu_s
    assert far.demand.cpu_high_s > 1.5 * near.demand.cpu_high_s
    assert far.demand.cpu_low_s < near.demand.cpu_low_s / 1.5


@pytest.mark.parametrize("name", [name for name in planned().inputs() if name not in FIXED])
def test_every_input_can_be_asked_about_again(name: str) -> None:
    planning = planned()
    was = planning.inputs()[name]
    assert isinstance(was, int | float)
    assert planning.again(name, was) == planning.plan().config


def test_more_cores_mean_more_workers_and_no_memory_means_nothing() -> None:
    planning = planned(asked=Asked(concurrency=64))
    more = planning.again("cpu.effective", 2 * planning.limits.cores)
    assert more is not None
    assert more.workers > planning.plan().config.workers
    assert planning.again("memory_budget_bytes", 1) is None
    with pytest.raises(NothingFeasible):
        planned(asked=Asked(memory_bytes=1)).plan()
