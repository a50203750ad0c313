from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Facts, Limit
from advisor.report.facts import table

EXAMPLE = files.read(Facts, Path(__file__).parent.parent / "examples" / "facts.json")


def words(facts: Facts) -> str:
    """The table with its wrapping undone."""
    return " ".join(table(facts).split())


def test_the_example_leads_with_what_binds() -> None:
    text = words(EXAMPLE)
    assert "CPUs 2 of 8, on 4 cores, by /sys/fs/cgroup/system.slice/cpu.max" in text
    assert "CPU quota 2 by /sys/fs/cgroup/system.slice/cpu.max" in text
    assert "memory 4.0 G, by /sys/fs/cgroup/system.slice/shop.service/memory.max" in text
    assert "open files 1024 soft, 524288 hard" in text
    assert "gunicorn 27.0.1, pid 812" in text
    assert "workers 2 x uvicorn_worker.UvicornWorker, 1 thread each" in text
    assert "pid 815 31 M PSS, 26 M USS" in text
    assert "sockets of pid 640 (nginx): not readable by uid 1000. -> run as root" in text


def test_it_fits_a_terminal() -> None:
    long = [line for line in table(EXAMPLE).splitlines() if len(line) > 80]
    assert long == []


@pytest.mark.parametrize(
    ("quota", "says"), [("none", "none, neither here"), ("unknown", "not known")]
)
def test_no_quota_and_an_unknown_one_are_said_as_such(quota: str, says: str) -> None:
    cpu = EXAMPLE.cpu.model_copy(update={"quota": quota, "limits": EXAMPLE.cpu.limits[:1]})
    assert f"CPU quota {says}" in words(EXAMPLE.model_copy(update={"cpu": cpu}))


def test_a_small_quota_keeps_its_fraction() -> None:
    cpu = EXAMPLE.cpu.model_copy(update={"effective": 0.25})
    assert "CPUs 0.25 of 8" in words(EXAMPLE.model_copy(update={"cpu": cpu}))


def test_a_cgroup_limit_shows_what_is_used_of_it() -> None:
    limit = Limit(source="/cg/memory.max", kind="max", value=2**30, used_bytes=2**29)
    memory = EXAMPLE.memory.model_copy(update={"limits": [limit], "others_bytes": 2**28})
    text = words(EXAMPLE.model_copy(update={"memory": memory}))
    assert "1.0 G by /cg/memory.max, 512 M of it used" in text
    assert "256 M used by others" in text


def test_no_server_is_said() -> None:
    assert "No Gunicorn or Uvicorn server found" in table(
        EXAMPLE.model_copy(update={"servers": []})
    )


@given(st.text())
def test_nothing_of_a_command_line_reaches_the_terminal_as_control(app: str) -> None:
    server = EXAMPLE.servers[0].model_copy(update={"app": app, "settings": {"bind": app}})
    text = table(EXAMPLE.model_copy(update={"servers": [server]}))
    assert all(char.isprintable() or char == "\n" for char in text)
