"""Which hosts share a recommendation."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.documents import Facts
from advisor.host.shapes import Shape, alike, shapes

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLE = json.loads((Path(__file__).parents[1] / "examples" / "facts.json").read_text())
EXAMPLE["kernel"]["file_max"] = 105


def host(name: str, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Facts:
    data = copy.deepcopy(EXAMPLE)
    data["host"]["name"] = name
    change(data)
    return Facts.model_validate(data)


def passing(data: dict[str, Any]) -> None:
    """What two looks at equal machines may show."""
    data["memory"]["available_bytes"] -= 300_000_000
    data["memory"]["total_bytes"] -= 40_000
    data["memory"]["limits"][1]["used_bytes"] = 5
    data["kernel"]["file_max"] = 100
    server = data["servers"][0]
    server["pid"] = 99
    server["workers"] = [{"pid": 98, "pss_bytes": 7, "uss_bytes": 6}] * 2
    data["unknown"] = []


DIFFERENCES: dict[str, Callable[[dict[str, Any]], object]] = {
    "cpus": lambda data: data["cpu"].update(effective=4.0),
    "quota": lambda data: data["cpu"]["limits"][2].update(value=1.5),
    "memory": lambda data: data["memory"].update(total_bytes=8 * 2**30),
    "room": lambda data: data["memory"].update(available_bytes=2**30),
    "version": lambda data: data["components"]["nginx"].update(version="1.26.3"),
    "module": lambda data: data["components"]["nginx"].update(modules=["brotli"]),
    "workers": lambda data: data["servers"][0]["workers"].pop(),
    "setting": lambda data: data["servers"][0].update(settings={"timeout": 7}),
    "no server": lambda data: data["servers"].clear(),
    "somaxconn": lambda data: data["kernel"].update(somaxconn=128),
    "release": lambda data: data["host"].update(os="Debian GNU/Linux 13"),
    "arch": lambda data: data["host"].update(arch="aarch64"),
    "network": lambda data: data.update(interfaces=[{"name": "eth0", "bytes_per_s": 125e6}]),
}


def test_names_pids_and_a_little_memory_do_not_matter() -> None:
    found = shapes({"b": host("two", passing), "a": host("one")})
    assert found == [Shape(("a", "b"), "b")]  # b has less to spare


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_a_setting_may_depend_on_makes_another_shape(name: str) -> None:
    found = shapes({"a": host("one"), "b": host("two", DIFFERENCES[name]), "c": host("three")})
    assert [shape.hosts for shape in found] == [("a", "c"), ("b",)]


def test_the_host_that_was_measured_stands_for_its_shape() -> None:
    facts = {"a": host("one"), "b": host("two", passing), "c": host("three", passing)}
    assert shapes(facts, measured_on="one")[0].representative == "a"
    assert shapes(facts, measured_on="elsewhere")[0].representative == "b"


@given(st.lists(st.integers(2 * 2**30, 12 * 2**30), min_size=1, max_size=8))
def test_all_of_a_shape_are_alike_and_every_host_is_in_one(rooms: list[int]) -> None:
    facts = {
        f"web{number}": host(
            f"web{number}", lambda data, room=room: data["memory"].update(available_bytes=room)
        )
        for number, room in enumerate(rooms)
    }
    found = shapes(facts)
    assert sorted(name for shape in found for name in shape.hosts) == sorted(facts)
    for shape in found:
        spare = {name: facts[name].memory.available_bytes for name in shape.hosts}
        assert spare[shape.representative] == min(spare.values())
        assert all(alike(facts[one], facts[other]) for one in shape.hosts for other in shape.hosts)
