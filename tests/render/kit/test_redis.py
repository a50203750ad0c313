"""Redis's include: what it sets, for which version, and that nothing else gets into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advisor.render import not_rendered, render
from advisor.render.kit.redis import settings_of
from advisor.render.values import inputs_of
from advisor.rules import RULES
from tests.render.trees import trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

PATH = "redis/shop.conf"
ALL = {
    "redis.maxmemory": 512 * 1024**2,
    "redis.maxmemory_policy": "allkeys-lfu",
    "redis.save": "",
    "redis.appendonly": "no",
    "redis.timeout": 0,
    "redis.lazyfree_lazy_eviction": "yes",
    "redis.lazyfree_lazy_expire": "yes",
    "redis.io_threads": 2,
}
KNOWN = {"components": {"redis": "7.0.15"}}
points = st.lists(st.integers(0, 10**9 - 1), min_size=0, max_size=4).map(
    lambda numbers: " ".join(f"{number} {number // 2}" for number in numbers)
)


def rec_of(make: Make, role: str | None = "cache", **changes: Any) -> Recommendation:
    intent = {"manage": ["redis"], "redis.role": role} | changes.pop("intent", {})
    return make(**{"intent": intent, "settings": ALL} | KNOWN | changes)


def text_of(rec: Recommendation) -> str:
    (file,) = (file for file in render(rec) if file.path == PATH)
    return file.content.decode()


def words_of(rec: Recommendation) -> list[list[str]]:
    return [line for line in trees(render(rec))[PATH] if line]


def test_it_is_there_on_request_alone(make: Make) -> None:
    assert PATH not in [file.path for file in render(make(settings=ALL))]
    assert not_rendered(rec_of(make)) == [
        id_ for id_ in not_rendered(make(intent={"manage": []})) if not id_.startswith("redis.")
    ]


def test_every_setting_of_the_rules_is_written(make: Make) -> None:
    assert set(ALL) == {id_ for id_ in RULES if id_.startswith("redis.")}
    assert words_of(rec_of(make)) == [
        ["maxmemory", "536870912"],
        ["maxmemory-policy", "allkeys-lfu"],
        ["save", '""'],
        ["appendonly", "no"],
        ["timeout", "0"],
        ["lazyfree-lazy-eviction", "yes"],
        ["lazyfree-lazy-expire", "yes"],
        ["io-threads", "2"],
    ]


def test_each_line_has_its_reason_above(make: Make) -> None:
    rec = rec_of(make, why={"redis.maxmemory": "Half of what is left."})
    # Added settings have the first setting's reason.
    assert "# Two workers use both cores; a third adds 0.3 % and 27 MB.\ntimeout 0" in text_of(rec)


def test_a_value_that_is_left_alone_is_left_out(make: Make) -> None:
    assert words_of(rec_of(make, settings=dict.fromkeys(ALL))) == []


def test_snapshots_take_the_place_of_those_in_redis_conf(make: Make) -> None:
    rec = rec_of(make, settings={"redis.save": "3600 1 300 100"})
    assert words_of(rec) == [["save", '""'], ["save", "3600", "1"], ["save", "300", "100"]]


def test_it_says_where_it_is_included_and_why_there(make: Make) -> None:
    text = text_of(rec_of(make))
    assert "last line of /etc/redis/redis.conf" in text
    # A pattern: Redis starts as well where the file is gone.
    assert "#     include /etc/redis/advisor-*.conf\n" in text
    older = text_of(rec_of(make, components={"redis": "6.0.16"}))
    assert "#     include /etc/redis/advisor-shop.conf\n" in older
    assert "takes the last value" in text
    assert "A cache:" in text
    assert "A broker:" in text_of(rec_of(make, "broker"))
    assert "redis.role" in text_of(rec_of(make, None))


@pytest.mark.parametrize(
    ("version", "gone"),
    [
        ("7.0.15", set()),
        ("6.0", set()),
        ("5.0.14", {"io-threads"}),
        ("3.2.1", {"io-threads", "lazyfree-lazy-eviction", "lazyfree-lazy-expire", "LFU"}),
        ("absent", {"io-threads", "lazyfree-lazy-eviction", "lazyfree-lazy-expire", "LFU"}),
    ],
)
def test_what_the_version_lacks_is_left_out_and_said(
    make: Make, version: str, gone: set[str]
) -> None:
    rec = rec_of(make, components={"redis": version})
    text = text_of(rec)
    words = {"LFU" if words[1].endswith("-lfu") else words[0] for words in words_of(rec)}
    assert gone.isdisjoint(words)
    assert text.count("is left out: it needs Redis") == len(gone)
    if gone:
        found = "not known" if version == "absent" else version
        assert f"the target's version is {found}." in text


def test_an_older_policy_needs_no_version(make: Make) -> None:
    rec = rec_of(
        make, settings={"redis.maxmemory_policy": "allkeys-lru"}, components={"redis": "absent"}
    )
    assert words_of(rec) == [["maxmemory-policy", "allkeys-lru"]]


def test_valkey_knows_all_of_it_in_a_folder_of_its_own(make: Make) -> None:
    rec = rec_of(make, components={"valkey": "8.1.1"})
    (file,) = (file for file in render(rec) if file.path == PATH)
    assert file.output
    assert file.output.target == "/etc/valkey/advisor-{app}.conf"
    assert b"include /etc/valkey/advisor-*.conf" in file.content
    assert len(words_of(rec)) == len(ALL)


def test_no_password_no_address_and_no_path_is_set(make: Make) -> None:
    first = {words[0] for words in words_of(rec_of(make, "store"))}
    assert first.isdisjoint({"requirepass", "user", "bind", "port", "unixsocket", "dir"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    maxmemory=st.integers(0, 2**62),
    save=points,
    why=st.text(max_size=80),
)
def test_any_accepted_value_stays_one_value(
    make: Make, maxmemory: int, save: str, why: str
) -> None:
    values = {"redis.maxmemory": maxmemory, "redis.save": save}
    rec = rec_of(make, settings=values, why=dict.fromkeys(values, why))
    first, *saves = words_of(rec)
    assert first == ["maxmemory", str(maxmemory)]
    assert saves[0] == ["save", '""']
    assert " ".join(word for line in saves[1:] for word in line[1:]) == save
    assert [setting.value for setting in settings_of(inputs_of(rec))] == [str(maxmemory), save]
