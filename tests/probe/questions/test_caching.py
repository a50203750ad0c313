from __future__ import annotations

import gzip
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.probe.questions import caching
from advisor.probe.questions.caching import Answer, Seen


def reply(*headers: tuple[str, str], status: int = 200, body: bytes = b"x") -> Answer:
    return Answer(status, headers, len(body), body, body)


def five(*headers: tuple[str, str], status: int = 200) -> Seen:
    return Seen([reply(*headers, status=status)] * 5)


CONTROL = "cache-control"
DATE = ("date", "Sat, 01 Nov 2025 10:00:00 GMT")
LATER = ("expires", "Sat, 01 Nov 2025 10:05:00 GMT")


@pytest.mark.parametrize(
    ("headers", "micro", "shared", "says"),
    [
        ([], True, False, "Cache-Control: public, max-age=60 would let it"),
        ([(CONTROL, "public, max-age=60")], True, True, "60 s"),
        ([(CONTROL, "max-age=60")], True, True, "60 s"),
        ([(CONTROL, "S-MaxAge=10, max-age=0")], True, True, "10 s"),
        ([(CONTROL, "max-age=60, s-maxage=0")], False, False, "stale"),
        ([(CONTROL, 'max-age="60"')], True, True, "60 s"),
        ([(CONTROL, "public")], True, True, "no stated time"),
        ([(CONTROL, "public, max-age=0")], False, False, "stale"),
        ([(CONTROL, "max-age=-1")], False, False, "stale"),
        ([(CONTROL, "max-age=soon")], False, False, "stale"),
        ([(CONTROL, "max-age=99999999999999999999")], True, True, "2,147,483,648 s"),
        ([(CONTROL, "max-age=60"), (CONTROL, "max-age=0")], False, False, "stale"),
        ([(CONTROL, "max-age=60"), (CONTROL, "no-store")], False, False, "no-store"),
        ([(CONTROL, "private, max-age=60")], False, False, "private"),
        ([(CONTROL, 'private="x-user", max-age=60')], False, False, "private"),
        ([(CONTROL, "NO-CACHE")], False, False, "no-cache"),
        # Only a whole word is a directive.
        ([(CONTROL, 'max-age=60, x="private, no-store"')], True, True, "60 s"),
        ([(CONTROL, "max-age=60, not-private")], True, True, "60 s"),
        ([DATE, LATER], True, True, "300 s"),
        ([LATER], False, False, "stale"),
        ([DATE, ("expires", "0")], False, False, "stale"),
        ([DATE, LATER, (CONTROL, "max-age=5")], True, True, "5 s"),
        ([(CONTROL, "max-age=60"), ("set-cookie", "a=b")], False, False, "cookie"),
        ([(CONTROL, "max-age=60"), ("vary", "*")], False, False, "varies"),
        ([(CONTROL, "max-age=60"), ("vary", "accept"), ("vary", "COOKIE")], False, False, "varies"),
        ([(CONTROL, "max-age=60"), ("vary", "Authorization")], False, False, "varies"),
        ([(CONTROL, "max-age=60"), ("vary", "cook\x01ie")], False, False, "varies"),
        ([(CONTROL, "max-age=60"), ("vary", "accept, origin,,")], True, True, "60 s"),
        ([(CONTROL, "max-age=60"), ("vary", "User-Agent")], True, True, "each User-Agent"),
        ([("x-accel-expires", "0")], False, False, "would let it"),
    ],
)
def test_who_may_hold_an_answer(
    headers: list[tuple[str, str]], micro: bool, shared: bool, says: str
) -> None:
    seen = five(*headers)
    assert caching.microcache(seen).value is micro
    assert caching.cdn(seen).value is shared, caching.cdn(seen).why
    assert says in caching.cdn(seen).why


@pytest.mark.parametrize(("status", "kept"), [(200, True), (204, True), (201, False), (206, False)])
def test_a_cache_keeps_only_statuses_that_it_may(status: int, kept: bool) -> None:
    seen = five((CONTROL, "max-age=60"), status=status)
    assert caching.cdn(seen).value is kept
    assert caching.microcache(seen).value is kept


def test_a_body_that_changes_is_for_no_micro_cache_whatever_its_headers_say() -> None:
    headers = (CONTROL, "max-age=60")
    seen = Seen([reply(headers), reply(headers, body=b"y")])
    assert seen.stable is False
    assert caching.microcache(seen).value is False
    assert caching.cdn(seen).value is True
    assert "changed within 2 requests" in caching.cdn(seen).why


def test_one_answer_tells_nothing_of_the_next() -> None:
    seen = Seen([reply()])
    assert seen.stable is None
    assert caching.microcache(seen).value is False


def test_a_cookie_that_only_a_later_answer_sets_counts() -> None:
    seen = Seen([reply((CONTROL, "max-age=60")), reply(("set-cookie", "a=b"))])
    assert caching.facts("/", seen).sets_cookie
    assert caching.cdn(seen).value is False


def test_a_stream_is_kept_by_nobody() -> None:
    kind = ("content-type", "Text/Event-Stream; charset=utf-8")
    facts = caching.facts("/", five(kind, (CONTROL, "max-age=60")))
    assert facts.content_type == "text/event-stream"
    assert facts.stable is None
    assert facts.compressible_ratio is None
    for verdict in (facts.microcache, facts.cdn):
        assert verdict is not None
        assert verdict.value is False
        assert "stream" in verdict.why


def test_compression_without_vary_could_reach_the_wrong_client() -> None:
    headers = [(CONTROL, "max-age=60"), ("content-encoding", "gzip")]
    plain = [reply(*headers[:1])] * 5
    wrong = Seen(plain, reply(*headers))
    right = Seen(plain, reply(*headers, ("vary", "Accept-Encoding")))
    assert "Vary: Accept-Encoding" in caching.cdn(wrong).why
    assert caching.cdn(wrong).value is False
    assert caching.cdn(right).value is True
    assert caching.facts("/", right).compressed


def test_a_304_is_said() -> None:
    seen = five((CONTROL, "no-cache"))
    assert "304" not in caching.cdn(seen).why
    assert "304" in caching.cdn(Seen(seen.plain, None, unchanged=True)).why


@pytest.mark.parametrize(
    ("tag", "strength"),
    [('"a"', "strong"), ('W/"a"', "weak"), ('w/"a"', None), ("a", None), ('"a', None), ("", None)],
)
def test_a_tags_strength(tag: str, strength: str | None) -> None:
    answer = reply(("etag", tag))
    assert caching.facts("/", Seen([answer])).etag == strength
    assert answer.validator == (("If-None-Match", tag) if strength else None)


def test_what_is_asked_where_there_is_only_a_date() -> None:
    answer = reply(("last-modified", DATE[1]))
    assert answer.validator == ("If-Modified-Since", DATE[1])
    assert caching.facts("/", Seen([answer])).last_modified
    assert reply(("last-modified", "yesterday")).validator is None


@pytest.mark.parametrize(
    "kind", ["", "text", "text/", "text html/x", "\x1b[2J/x", "a/" + "b" * 200]
)
def test_a_malformed_content_type_is_none(kind: str) -> None:
    assert caching.facts("/", five(("content-type", kind))).content_type is None


def test_how_far_a_body_can_be_compressed() -> None:
    words, noise = b"words " * 5000, os.urandom(30_000)
    squeezed = caching.facts("/", Seen([reply(body=words)])).compressible_ratio
    assert squeezed == round(len(gzip.compress(words, 5)) / len(words), 3) < 0.1
    ratio = caching.facts("/", Seen([reply(body=noise)])).compressible_ratio
    assert ratio is not None
    assert ratio >= 1
    assert caching.facts("/", Seen([reply(body=b"")])).compressible_ratio is None
    coded = reply(("content-encoding", "br"), body=words)
    assert caching.facts("/", Seen([coded])).compressible_ratio is None


NAMES = (CONTROL, "expires", "date", "etag", "last-modified", "vary", "set-cookie", "content-type")
WORDS = st.text(st.characters(max_codepoint=255), max_size=200)
NEARLY = st.text('max-age=,0123456789"\\ private;/*W', max_size=80)
headers = st.lists(st.tuples(st.sampled_from(NAMES), WORDS | NEARLY), max_size=12)


@given(st.lists(st.builds(reply, status=st.integers(200, 299)), min_size=1, max_size=3), headers)
def test_no_headers_break_the_facts(answers: list[Answer], headers: list[tuple[str, str]]) -> None:
    seen = Seen([Answer(a.status, tuple(headers), 1, b"x", b"x") for a in answers], answers[0])
    facts = caching.facts("/", seen)
    assert facts.cdn is not None
    text = json.dumps(facts.as_data())
    assert json.loads(text)["status"] == answers[0].status
    said = [facts.content_type or "", facts.cache_control or "", *facts.vary]
    assert all(each.isprintable() for each in [*said, facts.cdn.why, facts.microcache.why])
    if any(name == "set-cookie" for name, _ in headers):
        assert not facts.cdn.value
        assert not facts.microcache.value


@given(st.text(st.characters(max_codepoint=255)))
def test_a_date_is_a_number_or_none(text: str) -> None:
    found = caching.http_date(text)
    assert found is None or isinstance(found, float)
