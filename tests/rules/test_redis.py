"""Redis keeps what must stay, and a real one takes every value."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from redis import Redis as Client
from redis.exceptions import RedisError

from advisor.demo.processes import program
from advisor.errors import AdvisorError
from advisor.rules import RULES, decide
from tests.rules.cases.redis import CACHE, CASES, beside, store
from tests.rules.cases.shared import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import NoReturn

    Start = Callable[..., AbstractContextManager[Client]]

REWRITING = ("aof_rewrite_in_progress", "aof_rewrite_scheduled")
ROLES = st.sampled_from([None, "cache", "broker", "store"])
BYTES = st.none() | st.integers(0, 2**42)
FEW = st.none() | st.integers(0, 10**6)
SERVERS = st.builds(
    store,
    version=st.sampled_from([None, "2.8", "4.0.0", "7.0.15", "x"]),
    used_bytes=BYTES,
    peak_bytes=BYTES,
    keys_without_expiry=FEW,
    broker_of=st.sampled_from([None, "rq", "celery"]),
    persistence=st.sampled_from([[], ["rdb"], ["rdb", "aof"]]),
)


def said(id_: str, evidence: dict[str, Any]) -> Any:
    rule = RULES[id_]
    choice = rule.decide({name: evidence.get(name) for name in (*rule.needs, *rule.wants)})
    return choice and choice.value


@given(SERVERS, ROLES)
def test_nothing_is_dropped_where_something_must_stay(server: Any, role: str | None) -> None:
    evidence = {"redis": server, "redis.role": role}
    stays = role in {"broker", "store"} or server.broker_of or server.keys_without_expiry
    policy = said("redis.maxmemory_policy", evidence)
    if stays:
        assert policy == "noeviction"
        assert said("redis.save", evidence) is None
        assert said("redis.appendonly", evidence) in {None, "yes"}
    if policy not in {None, "noeviction"}:
        assert role == "cache"
        assert server.keys_without_expiry == 0


@given(SERVERS, ROLES, st.integers(0, 2**42))
def test_the_limit_is_never_below_what_is_held(
    server: Any, role: str | None, available: int
) -> None:
    evidence = beside(0, role) | {"redis": server, "memory.available_bytes": available}
    value = said("redis.maxmemory", evidence)
    if server.used_bytes is None:
        assert value is None
    else:
        assert value >= max(1, server.used_bytes)


def test_more_memory_is_a_higher_limit() -> None:
    small, large = (
        said("redis.maxmemory", beside(megabytes, "cache")) for megabytes in (2048, 8192)
    )
    assert large > small
    assert large < 8292 * MIB


def test_without_redis_nothing_is_said_and_nothing_is_unknown() -> None:
    decision = decide({"cpu.effective": 8, "memory.available_bytes": 2**32}, {})
    assert [one.id for one in decision.settings if one.id.startswith("redis.")] == []
    assert [gap.what for gap in decision.unknown if gap.what.startswith("redis.")] == []


def test_a_log_that_is_switched_on_by_a_restart_starts_empty_and_that_is_said() -> None:
    decide_ = RULES["redis.appendonly"].decide
    new = decide_({"redis": store(), "redis.role": "store", "components.redis.version": None})
    assert new is not None
    assert "CONFIG SET appendonly yes" in new.why
    there = store(persistence=["aof"])
    old = decide_({"redis": there, "redis.role": "store", "components.redis.version": None})
    assert old is not None
    assert "CONFIG SET" not in old.why


@pytest.mark.parametrize("wrong", ["60", "60 1 5", "60 x", "60 1\n", "60 1; dir /", "-1 1", "٦٠ 1"])
def test_save_points_hold_nothing_but_pairs_of_numbers(wrong: str) -> None:
    accepts = TypeAdapter(RULES["redis.save"].accepts)
    for right in ("", "60 1", "3600 1 300 100 60 10000", None):
        assert accepts.validate_python(right, strict=True) == right
    with pytest.raises(ValueError, match="pattern"):
        accepts.validate_python(wrong, strict=True)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Client]:
    """A Redis with its files in the folder, and a client of it; killed at the end."""
    path = folder / "r"
    process = subprocess.Popen(
        [program("redis-server"), "--port", "0", "--unixsocket", str(path), *words],
        stdout=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
    )
    try:
        with Client(unix_socket_path=str(path), decode_responses=True) as found:
            deadline = time.monotonic() + 20
            while True:
                try:
                    found.ping()
                    break
                except RedisError:
                    assert time.monotonic() < deadline, "not up in 20 s"
                    assert process.poll() is None
                    time.sleep(0.02)
            yield found
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with a child that saves
        process.wait()


@pytest.fixture
def start(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> Start:
    """Start a Redis in the test's folder, one at a time."""
    try:
        program("redis-server")
    except AdvisorError:
        not_run("no redis-server")
    return lambda *words: serving(tmp_path, *words)


@pytest.fixture
def client(start: Start) -> Iterator[Client]:
    with start() as found:
        yield found


@pytest.mark.daemon
def test_a_real_redis_takes_every_value(client: Client) -> None:
    for id_, cases in CASES.items():
        name = id_.removeprefix("redis.").replace("_", "-")
        for value in {value for _, value in cases if isinstance(value, str | int)}:
            if id_ == "redis.io_threads":  # only at its start
                assert set(client.config_get(name)) == {name}
                continue
            client.config_set(name, value)
            assert client.config_get(name) == {name: str(value)}


@pytest.mark.daemon
def test_a_cache_as_advised_drops_keys_and_a_store_refuses_writes(client: Client) -> None:
    used = client.info("memory")["used_memory"]
    value = "x" * 10_000
    for role, drops in (("cache", True), ("store", False)):
        client.config_set("maxmemory", used + 2 * MIB)
        policy = said("redis.maxmemory_policy", CACHE | {"redis.role": role})
        client.config_set("maxmemory-policy", policy)
        refused = 0
        for number in range(1000):
            try:
                client.set(f"{role}:{number}", value)
            except RedisError:
                refused += 1
        assert bool(refused) is not drops
        assert bool(client.info("stats")["evicted_keys"]) is drops
        client.flushall()
        client.config_resetstat()


@pytest.mark.daemon
def test_a_log_switched_on_while_it_runs_keeps_the_keys_and_one_by_a_restart_loses_them(
    start: Start, tmp_path: Path
) -> None:
    with start() as found:
        found.set("order", "1")
        found.save()
    dump = (tmp_path / "dump.rdb").read_bytes()
    with start("--appendonly", "yes") as found:
        assert found.dbsize() == 0
    for log in tmp_path.glob("appendonly*"):  # a folder since Redis 7, a file before
        shutil.rmtree(log) if log.is_dir() else log.unlink()
    (tmp_path / "dump.rdb").write_bytes(dump)
    with start() as found:
        found.config_set("appendonly", said("redis.appendonly", {"redis.role": "store"}))
        deadline = time.monotonic() + 20
        while any(found.info("persistence")[name] for name in REWRITING):
            assert time.monotonic() < deadline, "the log was not written in 20 s"
            time.sleep(0.02)
    with start("--appendonly", "yes") as found:
        assert found.get("order") == "1"
