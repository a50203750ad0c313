"""Real servers and hostile ones, asked as a probe asks them."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.demo.processes import free_port, program, running
from advisor.errors import AdvisorError, GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe.address import resolve
from advisor.probe.questions import ask as asking
from advisor.probe.questions import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import HttpFacts

    Start = Callable[..., Any]
    Reply = Callable[..., bytes]


def ask(url: str, *routes: str, **more: Any) -> asking.Answers:
    return asyncio.run(asking.ask(resolve(url), routes, **more))


def by_path(answers: asking.Answers) -> dict[str, HttpFacts]:
    return {facts.path: facts for facts in answers.http}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 1.0)


APPS = Path(__file__).parents[2] / "apps"
ROUTES = [
    "/cached",
    "/plain",
    "/packed",
    "/visitor",
    "/cookie-echo",
    "/private",
    "/clock",
    "/empty",
]


@pytest.mark.daemon
def test_every_route_has_its_facts(serve: Start) -> None:
    base = serve("uvicorn", "http_app:app")
    answers = ask(f"{base}/plain", *ROUTES, "/events")
    facts = by_path(answers)
    assert list(facts) == [*ROUTES, "/events", "/healthz"]
    assert answers.health == {"/healthz": 200, "/health": 404, "/ping": 404}

    cached = facts["/cached"]
    assert (cached.status, cached.content_type, cached.bytes) == (200, "text/html", 32000)
    assert (cached.etag, cached.last_modified, cached.vary) == ("weak", True, ["accept-encoding"])
    assert cached.cache_control == "public, max-age=60"
    assert cached.cdn is not None
    assert cached.cdn.value
    assert "304" in cached.cdn.why
    assert cached.microcache.value

    plain = facts["/plain"]
    assert not plain.compressed
    assert plain.compressible_ratio is not None
    assert plain.compressible_ratio < 0.1
    assert plain.stable is True
    assert plain.microcache.value
    assert plain.cdn is not None
    assert not plain.cdn.value
    assert (plain.cache_control, plain.etag, plain.last_modified) == (None, None, False)

    assert facts["/packed"].compressed
    # What is measured is the page, not what the server has compressed already.
    assert facts["/packed"].compressible_ratio == plain.compressible_ratio
    assert facts["/visitor"].sets_cookie
    assert not facts["/visitor"].microcache.value
    # A cookie is not sent back: every request is a new visitor's.
    assert facts["/cookie-echo"].bytes == len("none")
    assert facts["/cookie-echo"].stable is True
    assert not facts["/private"].microcache.value
    # It stands still for a second at a time, longer than quick repeats take.
    assert facts["/clock"].stable is False
    assert not facts["/clock"].microcache.value
    empty = facts["/empty"]
    assert (empty.status, empty.bytes, empty.compressible_ratio) == (204, 0, None)
    assert empty.stable is True

    assert facts["/events"].content_type == "text/event-stream"
    assert facts["/events"].stable is None
    assert list(answers.left_out) == ["/events"]
    assert "stream" in answers.left_out["/events"]


@pytest.mark.daemon
def test_a_health_route_that_is_measured_is_not_asked_twice(serve: Start) -> None:
    base = serve("uvicorn", "http_app:app")
    answers = ask(f"{base}/healthz")
    assert [facts.path for facts in answers.http] == ["/healthz"]
    assert answers.http[0].stable is True
    assert answers.health["/healthz"] == 200


WRONG = [
    ("/absent", TooLittleEvidence, "/absent: answers 404"),
    ("/fails-later", TooLittleEvidence, "/fails-later: answers 500"),
    ("/moved", GuardRefused, "/moved: redirects to 'http://127.0.0.1:[0-9]+/plain'"),
]


@pytest.mark.daemon
@pytest.mark.parametrize(("route", "error", "says"), WRONG)
def test_a_route_that_cannot_be_measured_is_named(
    serve: Start, route: str, error: type[AdvisorError], says: str
) -> None:
    base = serve("uvicorn", "http_app:app")
    with pytest.raises(error, match=says) as caught:
        ask(base, "/plain", route)
    assert caught.value.remedy
    assert route != "/moved" or f"Give {base}/plain" in caught.value.remedy


@pytest.mark.daemon
def test_routes_that_nobody_named_are_left_out_where_they_fail(serve: Start) -> None:
    base = serve("uvicorn", "http_app:app")
    answers = ask(base, *(route for route, _, _ in WRONG), "/events", "/plain", strict=False)
    assert list(answers.left_out) == ["/absent", "/fails-later", "/moved", "/events"]
    for route, _, says in WRONG:
        assert re.search(says, answers.left_out[route])
    assert by_path(answers)["/plain"].stable is True


@pytest.mark.daemon
def test_somebody_has_to_answer(serve: Start) -> None:
    base = serve("uvicorn", "http_app:app")
    with pytest.raises(TooLittleEvidence, match="/absent: answers 404"):
        ask(base, "/absent", "/events", strict=False)
    with pytest.raises(TooLittleEvidence, match="/events: a stream"):
        ask(base, "/events")


@pytest.mark.daemon
def test_an_app_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    port = free_port()
    binds = ["--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}"]
    command = [program("gunicorn"), "wsgi_app:app", "--chdir", str(APPS), *binds]
    ready = f"http://127.0.0.1:{port}/compute"
    with running(command, url=ready, log=tmp_path / "server.log"):
        endpoint = resolve("http://shop.example/compute", socket=path)
        answers = asyncio.run(asking.ask(endpoint))
    assert answers.http[0].status == 200


def test_a_unix_socket_is_all_that_is_connected_to(
    recorder: Start, answer: Reply, tmp_path: Path
) -> None:
    server = recorder(lambda _request: [answer(b"hello")], tmp_path / "app.sock")
    endpoint = resolve("http://shop.example/a", socket=tmp_path / "app.sock")
    answers = asyncio.run(asking.ask(endpoint))
    assert answers.http[0].bytes == 5
    assert all(b"Host: shop.example\r\n" in request + b"\r\n" for request in server.requests)
    assert all(line.startswith("GET /") for line in server.lines)


def test_a_stale_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "app.sock"))
    endpoint = resolve("http://shop.example/", socket=tmp_path / "app.sock")
    with pytest.raises(TooLittleEvidence, match=r"unix:.*app\.sock\): refuses connections"):
        asyncio.run(asking.ask(endpoint))


def test_only_gets_of_what_was_named_and_of_health_routes(recorder: Start, answer: Reply) -> None:
    body, tags = b"x" * 3000, (b'ETag: "1"', b"Set-Cookie: id=7", b"Link: </other>; rel=preload")
    server = recorder(lambda _request: [answer(body, *tags)])
    answers = ask(server.url, "/a?b=%20", "/c/../d", "//e")
    assert {line.partition(" ")[0] for line in server.lines} == {"GET"}
    # Byte for byte, as the load sends them.
    assert {line.split()[1] for line in server.lines} == {
        *("/a?b=%20", "/c/../d", "//e"),
        *("/healthz", "/health", "/ping"),
    }
    assert answers.sent == len(server.lines)
    assert len(server.connections) == 1
    text = b"\n".join(server.requests).lower()
    assert b"cookie" not in text
    assert b"authorization" not in text
    assert b'if-none-match: "1"' in text


def test_no_proxy_of_the_environment(
    recorder: Start, answer: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = recorder(lambda _request: [answer(b"trapped")])
    server = recorder(lambda _request: [answer(b"ok")])
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, trap.url)
    monkeypatch.setenv("no_proxy", "")
    assert ask(server.url).http[0].bytes == 2
    assert trap.connections == []


@pytest.mark.parametrize(
    ("location", "says", "hidden"),
    [
        (b"http://other.example/a?code=s3cret", "'http://other.example/a', another host", "s3cret"),
        (b"//other.example/", "'http://other.example/', another host", ""),
        (b"http://me:s3cret@127.0.0.1/", "'http://127.0.0.1/', another host", "s3cret"),
        (b"https://127.0.0.1/", "another host", ""),
        (b"http://169.254.169.254/latest", "another host", ""),
        (b"http://[::1", "no URL", ""),
        (b"/caf\xc3\xa9?a=1#b", "redirects to", "#b"),
        (b"/\xc2\x9b2J", "redirects to", "\x9b"),
        (b"/" + b"a" * 3000, "redirects to", "a" * 201),
    ],
)
def test_a_redirect_is_not_followed(
    recorder: Start, answer: Reply, location: bytes, says: str, hidden: str
) -> None:
    reply = answer(b"", b"Location: " + location, status=b"302 Found")
    server = recorder(lambda _request: [reply])
    with pytest.raises(GuardRefused) as caught:
        ask(f"{server.url}/a")
    assert says in caught.value.message
    assert not hidden or hidden not in str(caught.value)
    assert server.lines == ["GET /a HTTP/1.1"]


@pytest.mark.parametrize("status", [b"304 Not Modified", b"300 Many"])
def test_a_redirect_to_nowhere(recorder: Start, answer: Reply, status: bytes) -> None:
    server = recorder(lambda _request: [answer(b"", status=status)])
    with pytest.raises(TooLittleEvidence, match="answers 30"):
        ask(server.url)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_trickles(recorder: Start) -> None:
    def trickle(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        while True:
            yield b"X-More: yes\r\n"
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(TooLittleEvidence, match="no answer within 1 s"):
        ask(recorder(trickle).url)
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("impatient")
def test_a_body_that_never_ends(recorder: Start) -> None:
    def drip(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
        while True:
            yield b"more "
            time.sleep(0.05)

    with pytest.raises(TooLittleEvidence, match="no answer within 1 s"):
        ask(recorder(drip).url)


def test_a_body_that_is_too_large(recorder: Start) -> None:
    def flood(_request: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n\r\n"
        while True:
            yield bytes(1024**2)

    with pytest.raises(TooLittleEvidence, match="an answer of over 64 MiB"):
        ask(recorder(flood).url)


def test_a_stream_that_says_nothing(recorder: Start) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    server = recorder(lambda _request: [head])
    with pytest.raises(TooLittleEvidence, match=r"a stream \(text/event-stream\)"):
        ask(server.url)
    assert server.lines == ["GET / HTTP/1.1"]


def test_a_bomb_is_not_decoded(recorder: Start, answer: Reply) -> None:
    bomb = gzip.compress(bytes(64 * 1024**2))
    coded = answer(bomb, b"Content-Encoding: gzip", b"Vary: Accept-Encoding")
    (facts, *_) = ask(recorder(lambda _request: [coded]).url).http
    assert facts.bytes == len(bomb)
    assert facts.compressed
    assert facts.compressible_ratio is None


def test_a_large_body_is_sampled(recorder: Start, answer: Reply) -> None:
    body = os.urandom(1024**2) + bytes(20 * 1024**2)
    server = recorder(lambda _request: [answer(body)])
    (facts, *_) = ask(server.url).http
    assert facts.bytes == len(body)
    assert facts.compressible_ratio is not None
    assert facts.compressible_ratio > 0.9
    assert facts.stable is True
    assert sum(line.split()[1] == "/" for line in server.lines) < asking.REPEATS


def test_a_change_at_the_end_of_a_large_body_is_seen(recorder: Start, answer: Reply) -> None:
    count = iter(range(1000))
    server = recorder(lambda _request: [answer(bytes(2 * 1024**2) + b"%d" % next(count))])
    assert ask(server.url).http[0].stable is False


def test_a_route_that_fails_to_answer_twice_is_of_unknown_stability(
    recorder: Start, answer: Reply
) -> None:
    once = threading.Event()

    def reply(request: bytes) -> list[bytes]:
        if b"gzip" in request:
            once.set()
        elif once.is_set() and request.startswith(b"GET / "):
            raise ConnectionError
        return [answer(b"ok")]

    (facts, *_) = ask(recorder(reply).url).http
    assert facts.stable is None
    assert not facts.microcache.value


HEADS = {
    "many headers": b"".join(b"X-%d: y\r\n" % number for number in range(3000)),
    "a long header": b"X: " + b"y" * 90_000 + b"\r\n",
    "duplicates": b"Cache-Control: max-age=60\r\nCache-Control: no-store\r\nVary: a\r\nVary: b\r\n",
    "high bytes": b'Content-Type: \xff\xfe\r\nETag: "\xe9"\r\nCache-Control: max-age=\xb2\r\n',
    "terminal bytes": b"Cache-Control: \xc2\x9b2J\r\nContent-Type: \x9b/x\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_odd_heads_are_read(recorder: Start, head: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + head + b"\r\nok"
    (facts, *_) = ask(recorder(lambda _request: [answer]).url).http
    assert facts.status == 200
    for text in (facts.content_type, facts.cache_control, *facts.vary):
        assert (text or "").isprintable()
    if b"no-store" in head:
        assert facts.vary == ["a", "b"]
        assert facts.cache_control == "max-age=60, no-store"
        assert not facts.microcache.value


BROKEN = {
    "control bytes": b"HTTP/1.1 200 OK\r\nX: \x1b[2J\x00\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 40_000,
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an early end": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_told_in_plain_words(recorder: Start, sent: bytes) -> None:
    def reply(_request: bytes) -> Iterator[bytes]:
        yield sent
        raise ConnectionError

    with pytest.raises(TooLittleEvidence) as caught:
        ask(recorder(reply).url)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    assert caught.value.remedy


@pytest.mark.parametrize("sent", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x1b[2J\x00\xff" * 9])
@pytest.mark.usefixtures("impatient")
def test_what_is_no_http_is_a_usage_error(recorder: Start, sent: bytes) -> None:
    server = recorder(lambda _request: [sent])
    with pytest.raises(InvalidInput, match="does not speak HTTP"):
        ask(server.url)


@pytest.mark.usefixtures("impatient")
def test_silence(recorder: Start) -> None:
    with pytest.raises(TooLittleEvidence, match="no answer within 1 s"):
        ask(recorder(lambda _request: []).url)


def test_slow_routes_are_asked_only_as_often_as_there_is_time(
    recorder: Start, answer: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE_S", 0.3)

    def slowly(request: bytes) -> Iterator[bytes]:
        if request.startswith(b"GET /slow"):
            time.sleep(0.4)
        yield answer(b"ok")

    server = recorder(slowly)
    answers = by_path(ask(server.url, "/slow", "/quick"))
    assert (answers["/slow"].stable, answers["/quick"].stable) == (None, True)
    asked = [line.split()[1] for line in server.lines]
    assert asked.count("/slow") == 2
    assert asked.count("/quick") == asking.REPEATS + 1


def test_routes_that_take_too_long_together(
    recorder: Start, answer: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ALL_S", 0.5)

    def slowly(_request: bytes) -> Iterator[bytes]:
        time.sleep(0.3)
        yield answer(b"ok")

    with pytest.raises(TooLittleEvidence, match=r"asking 3 routes takes over 0\.5 s"):
        ask(recorder(slowly).url, "/a", "/b", "/c")
