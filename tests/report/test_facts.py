from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Facts, Interface, Limit, Redis
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
    assert "No app server found" in table(EXAMPLE.model_copy(update={"servers": []}))


STORE = Redis(
    address="127.0.0.1:6379",
    version="7.0.15",
    maxmemory_bytes=64 * 2**20,
    maxmemory_policy="allkeys-lru",
    used_bytes=12 * 2**20,
    peak_bytes=15 * 2**20,
    hit_ratio=0.9537,
    evicted_keys=12,
    keys=23456,
    keys_without_expiry=1200,
    persistence=["rdb", "aof"],
    io_threads=1,
    broker_of="celery",
)


def with_redis(**changes: object) -> Facts:
    return EXAMPLE.model_copy(update={"redis": [STORE.model_copy(update=changes)]})


def test_a_redis_says_what_it_holds_and_what_bounds_it() -> None:
    text = words(with_redis())
    assert "Redis 7.0.15, 127.0.0.1:6379 memory 12 M, 15 M at its peak" in text
    assert "maxmemory 64 M, allkeys-lru" in text
    assert "keys 23,456, 1,200 of them without expiry, 12 evicted so far" in text
    assert "hits 95.4 % of reads" in text
    assert "persistence rdb and aof I/O threads 1 broker of celery" in text


@pytest.mark.parametrize(("most", "says"), [(0, "; no maxmemory,"), (None, "maxmemory not known")])
def test_no_maxmemory_and_an_unknown_one_are_said_as_such(most: int | None, says: str) -> None:
    assert says in words(with_redis(maxmemory_bytes=most))


def test_a_redis_that_tells_nothing_is_two_lines() -> None:
    silent = dict.fromkeys(Redis.model_fields) | {"address": STORE.address, "persistence": []}
    text = table(with_redis(**silent))
    assert "\n\nRedis, 127.0.0.1:6379\n  memory                not known\n\n" in text


def test_what_an_interface_carries_is_said_in_bits() -> None:
    interfaces = [
        Interface(name="eth0", bytes_per_s=1_250_000_000),
        Interface(name="eth1", bytes_per_s=12_500_000),
        Interface(name="eth2", bytes_per_s=None),
    ]
    text = words(EXAMPLE.model_copy(update={"interfaces": interfaces}))
    assert "network eth0 (10 Gbit/s), eth1 (100 Mbit/s), eth2 (speed not known)" in text


@pytest.mark.parametrize(
    ("total", "used", "says"),
    [(0, 0, "swap none"), (2**31, 2**29, "swap 2.0 G, 512 M of it used"), (2**31, None, "2.0 G")],
)
def test_swap(total: int, used: int | None, says: str) -> None:
    swap = {"swap_total_bytes": total, "swap_used_bytes": used}
    memory = EXAMPLE.memory.model_copy(update=swap)
    assert says in words(EXAMPLE.model_copy(update={"memory": memory}))


@pytest.mark.parametrize(
    ("smt", "says"),
    [(True, "on 4 cores with SMT, by"), (False, "4 cores without SMT, by"), (None, "4 cores, by")],
)
def test_threads_that_share_a_core_are_said(smt: bool | None, says: str) -> None:
    cpu = EXAMPLE.cpu.model_copy(update={"smt": smt})
    assert says in words(EXAMPLE.model_copy(update={"cpu": cpu}))


@given(st.text())
def test_nothing_of_a_command_line_reaches_the_terminal_as_control(app: str) -> None:
    server = EXAMPLE.servers[0].model_copy(update={"app": app, "settings": {"bind": app}})
    hostile = {
        "servers": [server],
        "redis": [STORE.model_copy(update={"address": app, "broker_of": app})],
        "interfaces": [Interface(name=app, bytes_per_s=None)],
    }
    text = table(EXAMPLE.model_copy(update=hostile))
    assert all(char.isprintable() or char == "\n" for char in text)
