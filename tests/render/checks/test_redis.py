"""A real Redis takes what is rendered, and says so of each value; what is damaged is caught."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from advisor.render import check, render
from advisor.render.checks import result as result_module
from tests.render.conftest import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import NoReturn

    from advisor.documents import Recommendation
    from advisor.render import CheckResult, File

    Make = Callable[..., Recommendation]
    Damage = Callable[[Sequence[File], str, str, str], list[File]]

pytestmark = pytest.mark.daemon

PATH = "redis/shop.conf"
SERVER = "redis-server"
CACHE = {
    "redis.maxmemory": 64 * 1024**2,
    "redis.maxmemory_policy": "allkeys-lru",
    "redis.save": "",
    "redis.appendonly": "no",
    "redis.timeout": 0,
    "redis.lazyfree_lazy_eviction": "yes",
}
STORE = {
    "redis.maxmemory": 64 * 1024**2,
    "redis.maxmemory_policy": "noeviction",
    "redis.save": "3600 1 300 100",
    "redis.appendonly": "yes",
    "redis.timeout": 0,
}


@pytest.fixture
def version(not_run: Callable[[str], NoReturn]) -> str:
    if result_module.find_program(SERVER) is None:
        not_run(f"{SERVER} is not installed")
    return words(SERVER, "--version").partition("v=")[2].split()[0]


@pytest.fixture
def redis(make: Make, version: str) -> Make:
    def make_one(role: str = "cache", **changes: Any) -> Recommendation:
        wanted = {
            "intent": {"manage": ["redis"], "redis.role": role},
            "settings": CACHE,
            "components": {"redis": version},
        }
        return make(**wanted | changes)

    return make_one


def by_check(results: list[CheckResult]) -> dict[str, CheckResult]:
    return {one.check.split()[0]: one for one in results}


@pytest.mark.parametrize(
    ("role", "values"),
    [
        ("cache", CACHE),
        ("broker", STORE),
        ("store", STORE | {"redis.io_threads": 2, "redis.lazyfree_lazy_expire": "yes"}),
        ("cache", {"redis.maxmemory": 0, "redis.maxmemory_policy": "volatile-lfu"}),
        ("store", dict.fromkeys(CACHE)),
    ],
)
def test_what_is_rendered_is_what_redis_has(redis: Make, role: str, values: dict[str, Any]) -> None:
    rec = redis(role, settings=values)
    results = check(render(rec), rec)
    assert [one for one in results if one.status != "passed"] == []
    assert {one.path for one in results} == {PATH}
    assert by_check(results)[SERVER].stand_ins


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("maxmemory 67108864", "maxmemory lots", "argument must be a memory value"),
        ("policy allkeys-lru", "policy allkeys-lr", "argument(s) must be one of the following"),
        ("timeout 0", "timeout -1", "timeout -1"),
        ("timeout 0", "timeout", "wrong number of arguments"),
        ("timeout 0", "timeout 30", "timeout is '30' in Redis, and should be '0'"),
        ('save ""', "save 60 1", "save is '7 7 60 1' in Redis, and should be ''"),
        ("appendonly no", "appendonly maybe", "'yes' or 'no'"),
        ("timeout 0\n", "", "timeout is '7' in Redis, and should be '0'"),
    ],
)
def test_a_wrong_line_is_named(redis: Make, damage: Damage, old: str, new: str, said: str) -> None:
    rec = redis()
    results = check(damage(render(rec), PATH, old, new), rec)
    (line,) = by_check(results)[SERVER].lines
    assert said in line
    assert line.startswith(PATH)
    if new:
        number = line.removeprefix(f"{PATH}:").partition(":")[0]
        changed = damage(render(rec), PATH, old, new)[0].content.decode().split("\n")
        assert changed[int(number) - 1].endswith(new)


@pytest.mark.parametrize(
    "line",
    [
        "requirepass secret",
        "dir /",
        "port 6379",
        "loadmodule /tmp/x.so",
        "include /etc/redis/redis.conf",
        "  LogFile /var/log/x",
        "maxmemroy 1",
    ],
)
def test_what_is_no_setting_is_refused_before_redis_sees_it(
    redis: Make, damage: Damage, line: str
) -> None:
    rec = redis()
    results = by_check(check(damage(render(rec), PATH, "timeout 0", line), rec))
    assert line.split(maxsplit=1)[0] in results["redis"].lines[0]
    assert results["redis"].status == "failed"
    assert results[SERVER].status == "not_run"


def test_another_minor_version_speaks_for_nobody(redis: Make) -> None:
    rec = redis(components={"redis": "5.0.7"})
    results = by_check(check(render(rec), rec))
    assert results["redis"].status == "passed"
    assert results[SERVER].status == "not_run"
    assert "5.0.7" in results[SERVER].lines[0]


def test_without_redis_nothing_ran(redis: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rec = redis()
    monkeypatch.setattr(result_module, "SBIN", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    results = by_check(check(render(rec), rec))
    assert results[SERVER].status == "not_run"
    assert "not installed" in results[SERVER].lines[0]


def test_it_leaves_no_file_and_no_process(
    redis: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rec = redis("store", settings=STORE)
    assert all(one.status == "passed" for one in check(render(rec), rec))
    assert list(tmp_path.iterdir()) == []
    assert psutil.Process(os.getpid()).children() == []


def test_a_redis_that_does_not_come_up_is_a_failure(
    redis: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    program = tmp_path / SERVER
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v={version} x" || exec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(result_module, "TIMEOUT_S", 0.3)
    rec = redis()
    (line,) = by_check(check(render(rec), rec))[SERVER].lines
    assert "no answer within" in line
