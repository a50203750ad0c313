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


# What versions that people meet cannot do, Debian 10 to 13's among them: by the products' own
# change notes, written down apart from the table, so that a slip in one is seen.
LACKING: dict[tuple[str, str], str] = {
    ("gunicorn", "20.0.4"): "wsgi_app asgi_worker asgi_stable control_socket",
    ("gunicorn", "20.1.0"): "asgi_worker asgi_stable control_socket",
    ("gunicorn", "25.0.3"): "asgi_stable control_socket",
    ("gunicorn", "25.3.0"): "",
    ("gunicorn", "26.0.0"): "eventlet",
    ("uvicorn", "0.17.6"): (
        "timeout_graceful_shutdown websockets_sansio timeout_worker_healthcheck"
        " limit_max_requests_jitter"
    ),
    ("uvicorn", "0.32.0"): (
        "websockets_sansio timeout_worker_healthcheck limit_max_requests_jitter"
    ),
    ("uvicorn", "0.38.0"): "limit_max_requests_jitter",
    ("uvicorn", "0.41.0"): "",
    ("hypercorn", "0.14.4"): "max_requests uvloop_factory",
    ("hypercorn", "0.18.0"): "",
    ("granian", "1.3.2"): (
        "backpressure workers_lifetime workers_kill_timeout runtime_mode runtime_threads"
        " runtime_mode_auto http1_header_read_timeout workers_max_rss"
    ),
    ("granian", "2.4.0"): "runtime_mode_auto workers_max_rss",
    ("granian", "2.6.0"): "",
    ("nginx", "1.14.2"): (
        "upstream_keepalive_timeout upstream_keepalive_requests ssl_reject_handshake"
        " ticket_key_rotation http3 http2_directive add_header_inherit"
        " upstream_keepalive_by_default"
    ),
    ("nginx", "1.22.1"): (
        "ticket_key_rotation http3 http2_directive add_header_inherit upstream_keepalive_by_default"
    ),
    ("nginx", "1.26.3"): "add_header_inherit upstream_keepalive_by_default",
    ("nginx", "1.29.7"): "",
    ("caddy", "2.5.2"): (
        "http3 protocols server_metrics lb_retries request_buffers response_buffers"
        " stream_close_delay stream_timeout trusted_proxies_strict metrics x25519mlkem768"
    ),
    ("caddy", "2.6.2"): (
        "request_buffers response_buffers stream_close_delay stream_timeout"
        " trusted_proxies_strict metrics x25519mlkem768"
    ),
    ("caddy", "2.8.4"): "metrics x25519mlkem768",
    ("caddy", "2.10.0"): "",
    ("systemd", "241"): (
        "protect_hostname restrict_suid_sgid oom_policy protect_kernel_logs protect_clock"
        " proc_subset protect_proc tmpfiles_keep"
    ),
    ("systemd", "247.3"): "tmpfiles_keep",
    ("systemd", "252.36"): "",
    ("openssl", "3.0.17"): "x25519mlkem768",
    ("openssl", "3.5.1"): "",
    ("redis", "5.0.14"): "io_threads include_pattern",
    ("redis", "6.0.16"): "include_pattern",
    ("redis", "7.0.15"): "",
    ("rq", "1.13.0"): "worker_pool",
    ("rq", "2.0.0"): "",
    ("prometheus", "2.42.0"): "scrape_config_files",
    ("prometheus", "3.1.0"): "",
    ("python", "3.12.3"): "free_threaded free_threaded_supported",
    ("python", "3.13.5"): "free_threaded_supported",
    ("python", "3.14.0"): "",
}


@pytest.mark.parametrize(("component", "version"), LACKING)
def test_versions_in_use_lack_what_they_lack(component: str, version: str) -> None:
    names = [name for name, one in CAPABILITIES.items() if one.component == component]
    lacking = {name.partition(".")[2] for name in names if not told(name, version)}
    assert lacking == set(LACKING[component, version].split())


def test_every_product_has_a_version_that_can_all_that_is_not_over() -> None:
    products = {one.component for one in CAPABILITIES.values()}
    assert products == {component for (component, _), lacking in LACKING.items() if not lacking}


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
