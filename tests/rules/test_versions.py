"""Each capability before its first version, at it and after it; unknown, cut short and garbage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import advisor
from advisor.documents import Component
from advisor.rules import RULES
from advisor.rules.versions import CAPABILITIES, Version, can, parse


def told(name: str, version: str, *, loaded: bool = True) -> bool | None:
    since = CAPABILITIES[name]
    modules = [since.module] if since.module and loaded else []
    return can({since.component: Component(version=version, modules=modules)}).get(f"can.{name}")


def text(version: Version) -> str:
    return ".".join(map(str, version))


def before(version: Version) -> str:
    """The last version there could be before: 25.0.999 for 25.1."""
    *head, last = version
    while last == 0 and head:
        *head, last = head
    return text((*head, last - 1, 999))


@pytest.mark.parametrize("name", CAPABILITIES)
def test_a_capability_begins_with_its_first_version(name: str) -> None:
    first = CAPABILITIES[name].first
    if any(first):
        assert told(name, before(first)) is False
    assert told(name, text(first)) is True
    assert told(name, f"{text(first)}.1") is True
    if CAPABILITIES[name].until is None:
        assert told(name, f"{first[0] + 1}.0") is True


@pytest.mark.parametrize("name", [name for name, one in CAPABILITIES.items() if one.until])
def test_a_capability_ends(name: str) -> None:
    until = CAPABILITIES[name].until
    assert until
    assert told(name, before(until)) is True
    assert told(name, text(until)) is False
    assert told(name, f"{until[0] + 1}.0") is False


@pytest.mark.parametrize("name", [name for name, one in CAPABILITIES.items() if one.module])
def test_a_capability_of_a_module_needs_the_module(name: str) -> None:
    newest = f"{CAPABILITIES[name].first[0] + 1}.0"
    assert told(name, newest) is True
    assert told(name, newest, loaded=False) is False


def test_what_is_not_there_or_has_no_version_cannot_be_told() -> None:
    assert can({}) == {}
    unknown = dict.fromkeys({one.component for one in CAPABILITIES.values()}, "unheard")
    assert can({name: Component(version=version) for name, version in unknown.items()}) == {}


def test_a_version_cut_short_is_the_same_version() -> None:
    assert told("gunicorn.asgi_worker", "24") is True
    assert told("gunicorn.asgi_worker", "24.0.0") is True
    assert told("nginx.http3", "1.25") is True
    assert told("gunicorn.eventlet", "26") is False


def test_a_release_candidate_counts_as_its_release() -> None:
    assert parse("27.0rc1") == (27, 0)
    assert parse("1.22.1-9+deb12u1") == (1, 22, 1)


@given(st.text())
def test_any_text_is_a_version_or_none(garbage: str) -> None:
    found = parse(garbage)
    assert found is None or all(number >= 0 for number in found)
    if not re.match(r"[0-9]", garbage):
        assert found is None


@given(st.integers(min_value=1, max_value=20_000))
def test_a_number_of_any_length_is_no_trouble(digits: int) -> None:
    found = parse("9" * digits)
    assert found is None or found[0] < 10**9


@given(st.lists(st.integers(min_value=0, max_value=10**9 - 1), min_size=1, max_size=10))
def test_numbers_and_dots_are_read_back(numbers: list[int]) -> None:
    assert parse(text(tuple(numbers))) == tuple(numbers)


def test_the_table_says_what_and_where() -> None:
    for name, since in CAPABILITIES.items():
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", name)
        assert name.partition(".")[0] == since.component
        assert since.source


def test_every_capability_is_asked_for() -> None:
    """What nobody asks for is no knowledge of ours: it would be wrong before anybody saw it."""
    folder = Path(advisor.__file__).parent
    others = [file for file in folder.rglob("*.py") if file.name != "versions.py"]
    words = set(re.findall(r'"([\w.]+)"', "\n".join(map(Path.read_text, others))))
    asked = {word.removeprefix("can.") for word in words}
    units = {f"systemd.{word}" for word in words}
    settings = {setting for setting in RULES if setting in CAPABILITIES}
    assert set(CAPABILITIES) <= asked | units | settings


def test_rules_name_only_capabilities_that_there_are() -> None:
    named = {
        name.removeprefix("can.")
        for rule in RULES.values()
        for name in (*rule.needs, *rule.wants)
        if name.startswith("can.")
    }
    assert named <= set(CAPABILITIES)
