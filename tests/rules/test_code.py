"""What an app's code sets: pools within the database's limit, and lines to paste that run."""

from __future__ import annotations

import ast
import asyncio
import re
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI, Request, Response
from flask import Flask
from flask import request as flask_request
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from advisor.documents import Cacheable, HttpFacts
from advisor.model.classes import GTHREAD, SYNC, UVICORN_WORKER
from advisor.model.connections import taken
from advisor.probe.questions import caching
from advisor.rules import RULES
from advisor.rules.cdn import SHARED
from advisor.rules.registry import Choice, decide
from tests.rules.cases import anyio as tokens
from tests.rules.cases import asyncpg, browser, cdn, sqlalchemy
from tests.rules.cases import httpx as clients
from tests.rules.cases.shared import measured
from tests.rules.plans import database, limited, serving

OURS = [tokens, asyncpg, browser, cdn, clients, sqlalchemy]
SPEAKING = [
    pytest.param(id_, seen, id=f"{id_}-{number}")
    for module in OURS
    for id_, cases in module.CASES.items()
    for number, (seen, _) in enumerate(cases)
]


def said(id_: str, seen: dict[str, Any]) -> Choice | None:
    rule = RULES[id_]
    return rule.decide({name: seen.get(name) for name in (*rule.needs, *rule.wants)})


def settings(evidence: dict[str, Any], pins: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is decided of the app's code, by id."""
    ours = {id_ for module in OURS for id_ in module.CASES}
    found = decide(evidence, pins or {}).settings
    return {each.id: each for each in found if each.id in ours}


def run(lines: str, **names: Any) -> dict[str, Any]:
    exec(compile(lines, "paste", "exec"), names)  # noqa: S102 - what a reader would paste
    return names


def call(lines: str, function: str) -> dict[str, Any]:
    """The keywords that the lines give to a function, which is not installed here."""
    for node in ast.walk(ast.parse(lines)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            return {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    raise AssertionError(lines)


@pytest.mark.parametrize(("id_", "seen"), SPEAKING)
def test_every_setting_of_the_code_has_lines_that_hold_its_value(
    id_: str, seen: dict[str, Any]
) -> None:
    choice = said(id_, seen)
    if choice is None:
        return
    assert RULES[id_].applied_by == "code"
    assert choice.paste
    compile(choice.paste, id_, "exec")
    values = choice.value if isinstance(choice.value, list) else [choice.value]
    for value in values:
        held = value.partition(": ")[2] if isinstance(value, str) else repr(value)
        assert held in choice.paste


@pytest.mark.parametrize(("id_", "seen"), SPEAKING)
def test_a_value_is_one_that_a_pin_may_have(id_: str, seen: dict[str, Any]) -> None:
    choice = said(id_, seen)
    if choice is not None:
        decide({}, {id_: choice.value})


def test_reasons_carry_their_figures() -> None:
    threads = serving(GTHREAD, 3, 32) | sqlalchemy.SQL | database(100, 10)
    choice = said("sqlalchemy.pool_size", threads)
    assert choice is not None
    assert choice.why == (
        "A worker's part of 90 connections over 1 host x 3 workers, twice in a reload, is 15; "
        "each of 32 threads may hold one."
    )
    assert (choice.binding, choice.confidence) == ("database.max_connections", "high")


def test_a_database_that_is_too_small_is_said_to_be() -> None:
    many = serving(GTHREAD, 64, 8) | sqlalchemy.SQL | database(100, 10)
    choice = said("sqlalchemy.pool_size", many)
    assert choice is not None
    assert (choice.value, choice.binding) == (1, "database.max_connections")
    assert "does not fit" in choice.why
    # 2 x 64 workers, and the 10 that are kept for others.
    assert choice.why.endswith("take 138.")


def test_a_limit_that_was_not_given_is_named_as_assumed() -> None:
    choice = said("sqlalchemy.pool_size", serving(GTHREAD, 2, 64) | sqlalchemy.SQL)
    assert choice is not None
    assert "database.max_connections is not given" in choice.why
    assert choice.confidence == "low"


CLASSES = st.sampled_from([SYNC, GTHREAD, UVICORN_WORKER])


@examples(deadline=None)
@given(
    CLASSES,
    st.integers(1, 200),
    st.integers(1, 256),
    st.integers(1, 2000),
    st.one_of(st.none(), st.floats(0.001, 1e6)),
    st.one_of(st.none(), st.floats(0, 100)),
    st.integers(1, 5000),
    st.integers(0, 500),
    st.integers(0, 20),
    st.sampled_from(["sqlalchemy", "asyncpg"]),
)
def test_the_pools_of_all_hosts_stay_within_the_databases_limit(
    worker_class: Any,
    workers: int,
    threads: int,
    concurrency: int,
    rps: float | None,
    wait_s: float | None,
    limit: int,
    reserved: int,
    hosts: int,
    library: str,
) -> None:
    evidence = serving(worker_class, workers, threads, concurrency=concurrency, rps=rps)
    evidence |= database(limit, reserved) | {f"components.{library}.version": "2.0"}
    evidence["hosts"] = [f"10.0.0.{number}:8000" for number in range(hosts)]
    evidence["wait_per_request_s"] = measured(wait_s) if wait_s is not None else None
    found = {id_: setting.value for id_, setting in settings(evidence).items()}
    if library == "sqlalchemy":
        most = found["sqlalchemy.pool_size"] + found["sqlalchemy.max_overflow"]
        assert found["sqlalchemy.pool_size"] >= 1
        assert found["sqlalchemy.max_overflow"] >= 0
    elif worker_class is UVICORN_WORKER:
        most = found["asyncpg.max_size"]
        assert 1 <= found["asyncpg.min_size"] <= most
    else:
        assert not found
        return
    if taken(1, hosts, workers) <= limit - reserved:
        assert taken(most, hosts, workers) <= limit - reserved
    else:
        assert most == 1


def test_a_pinned_pool_leaves_the_rest_of_the_share() -> None:
    evidence = sqlalchemy.LOOP | sqlalchemy.SQL | database(100)
    found = settings(evidence, {"sqlalchemy.pool_size": 20})
    assert found["sqlalchemy.max_overflow"].value == 5


def test_the_last_lines_hold_all_of_sqlalchemys_settings() -> None:
    found = settings(sqlalchemy.LOOP | sqlalchemy.SQL | database(100))
    lines = found["sqlalchemy.pool_pre_ping"].paste
    assert call(lines, "create_engine") == {
        id_.removeprefix("sqlalchemy."): setting.value for id_, setting in found.items()
    }
    assert len(found) == 5


def test_the_last_lines_hold_all_of_asyncpgs_settings() -> None:
    found = settings(sqlalchemy.LOOP | sqlalchemy.ASYNCPG | database(100))
    lines = found["asyncpg.max_inactive_connection_lifetime"].paste
    assert call(lines, "asyncpg.create_pool") == {
        id_.removeprefix("asyncpg."): setting.value for id_, setting in found.items()
    }
    assert len(found) == 3


@pytest.mark.parametrize(
    ("worker_class", "client"), [(UVICORN_WORKER, httpx.AsyncClient), (GTHREAD, httpx.Client)]
)
def test_the_last_lines_make_an_httpx_client_with_all_its_settings(
    worker_class: Any, client: type
) -> None:
    evidence = serving(worker_class, 2, 64, concurrency=512, rps=500) | clients.HTTPX
    found = settings(evidence | {"latency_s.p99": measured(3)})
    made = run(found["httpx.timeout"].paste)
    assert isinstance(made["client"], client)
    assert made["client"].timeout == httpx.Timeout(found["httpx.timeout"].value)
    assert made["limits"] == httpx.Limits(
        max_connections=found["httpx.max_connections"].value,
        max_keepalive_connections=found["httpx.max_keepalive_connections"].value,
        keepalive_expiry=found["httpx.keepalive_expiry"].value,
    )
    assert made["limits"].max_connections >= made["limits"].max_keepalive_connections


def test_the_lines_raise_anyios_threads_while_an_app_runs() -> None:
    choice = said("anyio.tokens", tokens.MANY | tokens.FULL)
    assert choice is not None
    assert choice.paste is not None
    app = FastAPI(lifespan=run(choice.paste)["lifespan"])

    async def seen() -> float:
        async with app.router.lifespan_context(app):
            return anyio.to_thread.current_default_thread_limiter().total_tokens

    assert asyncio.run(seen()) == choice.value == 128


def header_lines(path: str) -> str:
    choice = said("cdn.cache_control", cdn.http(cdn.fact(path)))
    assert choice is not None
    assert choice.paste is not None
    return choice.paste


KNOWN_VISITORS = [{"cookie": "session=1"}, {"authorization": "Bearer x"}]


def test_the_headers_are_sent_by_a_real_asgi_app_but_to_no_known_visitor() -> None:
    lines = header_lines("/items")
    app = FastAPI()

    @app.get("/items")
    async def items(request: Request, response: Response) -> dict[str, str]:
        run(lines, request=request, response=response)
        return {}

    async def ask(headers: dict[str, str]) -> str | None:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            return (await client.get("/items", headers=headers)).headers.get("cache-control")

    assert asyncio.run(ask({})) == SHARED
    for headers in KNOWN_VISITORS:
        assert asyncio.run(ask(headers)) is None


def test_the_headers_are_sent_by_a_real_wsgi_app_but_to_no_known_visitor() -> None:
    lines = header_lines("/items")
    app = Flask(__name__)

    @app.get("/items")
    def items() -> Any:
        response = app.make_response("{}")
        run(lines, request=flask_request, response=response)
        return response

    client = app.test_client(use_cookies=False)
    assert client.get("/items").headers["cache-control"] == SHARED
    for headers in KNOWN_VISITORS:
        assert "cache-control" not in client.get("/items", headers=headers).headers


def test_a_header_names_every_route_it_is_for() -> None:
    facts = cdn.http(cdn.fact("/items"), cdn.fact("/about", bytes=1000))
    choice = said("cdn.cache_control", facts | {"cpu_per_request_s": measured(0.00019)})
    assert choice is not None
    assert choice.paste is not None
    assert choice.paste.count("response.headers") == 1
    assert "#   /items\n#   /about" in choice.paste
    assert "2 of 2 measured" in choice.why
    assert "9,606 bytes and 190 µs of CPU" in choice.why


PATHS = st.one_of(st.text(), st.sampled_from(["/items", "/a?b", "/healthz", "/x.0a1b2c3d.js"]))
MAYBE = st.one_of(st.none(), st.booleans().map(lambda value: Cacheable(value=value, why="x")))
FACTS = st.lists(
    st.builds(
        HttpFacts,
        path=PATHS,
        status=st.sampled_from([200, 204, 404]),
        content_type=st.none(),
        bytes=st.integers(0, 10**12),
        compressed=st.booleans(),
        compressible_ratio=st.none(),
        stable=st.one_of(st.none(), st.booleans()),
        microcache=st.builds(Cacheable, value=st.booleans(), why=st.text()),
        cdn=MAYBE,
        cache_control=st.one_of(st.none(), st.text()),
        etag=st.sampled_from([None, "weak", "strong"]),
        last_modified=st.booleans(),
        vary=st.lists(st.one_of(st.text(), st.sampled_from(["cookie", "accept"])), max_size=3),
        sets_cookie=st.booleans(),
    ),
    max_size=6,
)


@examples(deadline=None)
@given(FACTS)
def test_no_private_answer_is_shared_and_no_foreign_text_becomes_code(
    facts: list[HttpFacts],
) -> None:
    for id_ in ("cdn.cache_control", "browser.cache_control", "cdn.vary"):
        choice = said(id_, {"http": facts})
        if choice is None:
            continue
        assert isinstance(choice.value, list)
        assert choice.paste is not None
        decide({}, {id_: choice.value})
        lines = [line for line in choice.paste.splitlines() if not line.startswith("#")]
        for line in lines:
            assert re.fullmatch(
                r'if "cookie" not in request\.headers and "authorization" not in request\.headers:'
                r'|(    )?response\.headers\["(cache-control|vary)"\] = "[a-z0-9=, -]+"',
                line,
            )
        for entry in choice.value:
            path, _, header = str(entry).partition(": ")
            own = [fact for fact in facts if fact.path.partition("?")[0] == path]
            assert own
            if "public" in header:
                assert all(fact.microcache.value for fact in own)
            if id_ != "cdn.vary":
                assert not any(fact.sets_cookie or "cookie" in fact.vary for fact in own)
                assert all(fact.cache_control is None for fact in own)


def test_nothing_is_said_of_caches_without_a_measurement() -> None:
    assert not settings({})
    assert said("anyio.tokens", tokens.MANY | limited("unknown")) is None


def answered(*headers: tuple[str, str], path: str = "/items") -> dict[str, Any]:
    """What a probe makes of five answers with these headers."""
    kind = ("content-type", "application/json")
    one = caching.Answer(200, (kind, *headers), size=2, digest=b"d", sample=b"{}")
    return {"http": [caching.facts(path, caching.Seen([one] * 5))]}


@pytest.mark.parametrize(
    ("headers", "speaking"),
    [
        ((), "cdn.cache_control"),
        ((("etag", '"1"'),), "cdn.cache_control"),
        ((("content-encoding", "gzip"),), "cdn.vary"),
        ((("set-cookie", "session=1"),), None),
        ((("vary", "Accept, Cookie"),), None),
        ((("cache-control", "private"),), None),
        ((("cache-control", "public, max-age=5"),), None),
        ((("expires", "0"),), None),
    ],
)
def test_what_a_probe_saw_is_understood(
    headers: tuple[tuple[str, str], ...], speaking: str | None
) -> None:
    rules = ("cdn.cache_control", "cdn.vary", "browser.cache_control")
    found = [id_ for id_ in rules if said(id_, answered(*headers)) is not None]
    assert found == ([speaking] if speaking else [])
