"""Log formats, by lines as real daemons write them and by text of any kind."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.probe.passive.entry import Entry
from advisor.probe.passive.formats import BEST_FORMAT, parser

AT = 1795237451.0  # 21 November 2026, 05:04:11 UTC
COMBINED = (
    '192.0.2.7 - ann [21/Nov/2026:06:04:11 +0100] "GET /items/42?page=2 HTTP/1.1" 200 1234 '
    '"https://shop.example/" "Mozilla/5.0 (X11; \\x22quoted\\x22)"'
)
COMMON = '192.0.2.7 - - [21/Nov/2026:05:04:11 +0000] "HEAD / HTTP/2.0" 304 0'
COMBINED_TEXT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent"'
)
CADDY = {
    "level": "info",
    "ts": AT + 0.25,
    "logger": "http.log.access.log0",
    "msg": "handled request",
    "request": {
        "remote_ip": "192.0.2.7",
        "proto": "HTTP/1.1",
        "method": "GET",
        "host": "shop.example",
        "uri": "/items/42?page=2",
        "headers": {"User-Agent": ["curl/7.88.1"]},
    },
    "user_id": "",
    "duration": 0.0212,
    "size": 1234,
    "status": 200,
}


def read(line: str, log_format: str | None = None) -> Entry:
    entry = parser(log_format)(line)
    assert entry is not None
    return entry


@pytest.mark.parametrize("log_format", [None, "combined", "common", COMBINED_TEXT])
def test_combined(log_format: str | None) -> None:
    expected = Entry(AT, "GET", "/items/42", "page=2", 200, bytes=1234)
    assert read(COMBINED, log_format) == expected


@pytest.mark.parametrize("log_format", [None, "common", "combined"])
def test_common(log_format: str | None) -> None:
    assert read(COMMON, log_format) == Entry(AT, "HEAD", "/", "", 304, bytes=0)


@pytest.mark.parametrize(
    ("behind", "times"),
    [
        ("rt=0.250 uct=0.001 uht=0.100 urt=0.120", (0.25, 0.12, True)),
        ('rt=0.250 uct="0.001" uht="0.1" urt="0.100, 0.020"', (0.25, 0.12, True)),
        ('rt=0.250 urt="0.100 : 0.020"', (0.25, 0.12, True)),
        ("rt=0.000 urt=-", (0.0, None, False)),
        ('request_time=0.250 upstream_response_time="0.120"', (0.25, 0.12, True)),
        ("0.250 0.120", (0.25, 0.12, True)),
        ("0.120 0.250", (0.25, 0.12, True)),
        ('"198.51.100.2" "0.250" "0.120"', (0.25, 0.12, True)),
        ('"-" 0.250', (0.25, None, None)),
        ('"-"', (None, None, None)),
    ],
)
def test_times_behind_combined_are_recognised(
    behind: str, times: tuple[float | None, float | None, bool | None]
) -> None:
    entry = read(f"{COMBINED} {behind}")
    assert (entry.request_s, entry.proxied) == (times[0], times[2])
    assert entry.upstream_s == pytest.approx(times[1])


def test_the_format_that_is_recommended_is_read() -> None:
    text = BEST_FORMAT.partition("'")[2].rpartition("'")[0]
    entry = read(f'{COMBINED} rt=0.250 urt="0.100, 0.020"', text)
    assert entry.upstream_s == pytest.approx(0.12)
    assert entry.proxied


def test_a_format_of_ones_own() -> None:
    text = (
        "[$msec] $scheme://$host$request_uri ${request_method}|$status|$request_time "
        '"$upstream_addr"'
    )
    entry = read('[1795237451.250] http://a.b/x%20y?q GET|502|1.500 "unix:/run/app"', text)
    assert entry == Entry(AT + 0.25, "GET", "/x%20y", "q", 502, None, 1.5, None, proxied=True)


def test_a_user_name_may_hold_what_separates() -> None:
    line = COMBINED.replace("- ann [", "- an - n [")
    assert read(line).path == read(line, COMBINED_TEXT).path == "/items/42"


@pytest.mark.parametrize("prefix", ["", "escape=json "])
def test_nginx_json(prefix: str) -> None:
    text = (
        '{"t":"$time_iso8601","r":"$request","s":$status,"b":$bytes_sent,"rt":$request_time,'
        '"urt":"$upstream_response_time","ua":"$http_user_agent"}'
    )
    line = (
        '{"t":"2026-11-21T05:04:11+00:00","r":"GET /a\\"b HTTP/1.1","s":200,"b":10,'
        '"rt":0.005,"urt":"0.004","ua":"x\\",\\"s\\":500"}'
    )
    entry = read(line, prefix + text)
    assert entry == Entry(AT, "GET", "/a%22b", "", 200, 10, 0.005, 0.004, proxied=True)
    # Without an upstream, escape=json writes nothing, which is no JSON where no quotes stand.
    static = line.replace('"0.004"', '""')
    assert read(static, prefix + text).proxied is False


def test_json_with_the_usual_keys_is_recognised() -> None:
    line = json.dumps(
        {
            "time_local": "21/Nov/2026:05:04:11 +0000",
            "request": "GET /x HTTP/1.1",
            "status": "200",
            "body_bytes_sent": "10",
            "request_time": "0.005",
            "upstream_response_time": "0.004",
        }
    )
    expected = Entry(AT, "GET", "/x", "", 200, 10, 0.005, 0.004, proxied=True)
    assert read(line) == read(line, "json") == expected


def test_caddy() -> None:
    entry = read(json.dumps(CADDY), "json")
    assert entry == Entry(AT + 0.25, "GET", "/items/42", "page=2", 200, 1234, 0.0212)


def test_caddy_tells_a_failure_once() -> None:
    error = {**CADDY, "logger": "http.log.error.log0", "status": 502}
    assert parser("json")(json.dumps(error)) is None


def test_escapes_and_control_characters_do_not_reach_the_output() -> None:
    line = COMBINED.replace("/items/42", "/caf\\xC3\\xA9/\\x1B[31m\\x22")
    assert read(line).path == read(line, COMBINED_TEXT).path == "/caf%C3%A9/%1B%5B31m%22"


def test_where_the_method_is_not_logged_it_is_not_taken_for_get() -> None:
    assert read("/form 200", "$request_uri $status").method == ""


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        '192.0.2.7 - - [21/Nov/2026:05:04:11 +0000] "\\x16\\x03\\x01" 400 157 "-" "-"',
        '192.0.2.7 - - [21/Nov/2026:05:04:11 +0000] "" 400 0 "-" "-"',
        COMMON.replace("304", "999"),
        "{",
        "[" * 60_000,
        '{"request": {"request": {}}}',
        json.dumps({**CADDY, "status": float("inf")}),
        COMBINED + "x" * 70_000,
    ],
)
def test_what_is_no_request_is_none(line: str) -> None:
    assert parser(None)(line) is None
    assert parser("json")(line) is None
    assert parser(COMBINED_TEXT)(line) is None


@pytest.mark.parametrize(
    "text", ["", "main", "$status", "$request", "$foo$request $status", "$request_uri"]
)
def test_a_format_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="log format"):
        parser(text)


@given(st.text(max_size=300))
def test_any_line_is_an_entry_or_none(line: str) -> None:
    for name in (None, "json", COMBINED_TEXT):
        entry = parser(name)(line)
        assert entry is None or entry.path.isascii()


FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=40)


@given(request=FIELDS, status=FIELDS, behind=FIELDS, when=FIELDS)
def test_any_value_in_its_place_is_read_or_refused(
    request: str, status: str, behind: str, when: str
) -> None:
    for line in (
        f'1.2.3.4 - - [{when}] "{request}" {status} 1 "-" "-" {behind}',
        f'1.2.3.4 - - [{when}] "GET /{request} HTTP/1.1" 200 1 "-" "-" rt={behind} urt="{behind}"',
        json.dumps({"time": when, "request": request, "status": status, "duration": behind}),
    ):
        entry = parser(None)(line)
        if entry is not None:
            assert all(0x20 < ord(character) < 0x7F for character in entry.path + entry.query)
            assert entry.upstream_s is None or entry.upstream_s >= 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["request", "uri", "status", "ts", "duration", "method", "size"]),
                inner,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_an_entry_or_none(data: object) -> None:
    entry = parser(None)(json.dumps(data))
    assert entry is None or 100 <= entry.status < 600


@given(st.text(max_size=80))
def test_any_format_is_compiled_or_refused(text: str) -> None:
    try:
        parse = parser(f"$request {text} $status")
    except InvalidInput:
        return
    parse(COMBINED)


@pytest.mark.parametrize("text", [COMBINED_TEXT, "$a $b $c $d $e $request $status", None])
def test_a_hostile_line_takes_no_longer_than_its_length(text: str | None) -> None:
    parse = parser(text)
    lines = ["- [" * 21_000, '"\\' * 32_000, ' "' * 32_000, "a " * 32_000, COMMON + ' "' * 32_000]
    began = time.process_time()
    for line in lines:
        parse(line)
    assert time.process_time() - began < 5


OURS = "advisor/0.1.0"
JSON_LINES = (
    '{"status": 200, "request_uri": "/a", "request_method": "GET", "http_user_agent": "%s"}',
    '{"status": 200, "request": {"method": "GET", "uri": "/a", "headers": {"User-Agent": ["%s"]}}}',
)


@pytest.mark.parametrize(
    "line",
    ['1.2.3.4 - - [21/Nov/2026:05:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "%s"', *JSON_LINES],
    ids=["combined", "nginx's JSON", "Caddy's JSON"],
)
def test_our_own_requests_are_known_by_their_agent(line: str) -> None:
    ours, other = parser(None)(line % OURS), parser(None)(line % "curl/8")
    assert ours is not None
    assert other is not None
    assert (ours.ours, other.ours) == (True, False)


@pytest.mark.parametrize("headers", ["[]", "{}", '{"User-Agent": 3}', '{"User-Agent": []}'])
def test_odd_headers_of_caddy_are_nobodys(headers: str) -> None:
    line = '{"status": 200, "request": {"method": "GET", "uri": "/a", "headers": %s}}'
    entry = parser(None)(line % headers)
    assert entry is not None
    assert not entry.ours
