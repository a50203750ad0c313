from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import AdvisorError, GuardRefused, InvalidInput, TooLittleEvidence
from advisor.probe.address import resolve
from advisor.probe.questions import openapi

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "http://127.0.0.1:8000/openapi.json"


def listed(paths: Any, **more: Any) -> openapi.Listed:
    document = {"openapi": "3.1.0", "paths": paths, **more}
    return openapi.listed(json.dumps(document).encode(), url=URL)


def taken(paths: Any, **more: Any) -> list[str]:
    return [route.path for route in listed(paths, **more).routes]


def why(operation: Any, path: str = "/a", item: Any = None, **more: Any) -> str | None:
    """Why a route is left out beside one that is fine; None where it is not."""
    paths = {"/fine": {"get": {"security": []}}, path: {**(item or {}), "get": operation}}
    return dict(listed(paths, **more).left_out).get(path)


def parameter(name: str = "q", place: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, **more}


@pytest.mark.parametrize(
    ("operation", "says"),
    [
        ({}, None),
        ({"deprecated": True}, None),
        ({"parameters": [parameter()]}, None),
        ({"parameters": [parameter(required=False)]}, None),
        ({"parameters": [parameter(required=True)]}, "query parameter q"),
        ({"parameters": [parameter("x-t", "header", required=True)]}, "header parameter x-t"),
        ({"parameters": [parameter("sid", "cookie", required=True)]}, "cookie parameter sid"),
        ({"parameters": [parameter("id", "path")]}, "path parameter id"),
        ({"parameters": [parameter(required="perhaps")]}, "query parameter q"),
        ({"parameters": {}}, "cannot be read"),
        ({"parameters": [7]}, "cannot be read"),
        ({"parameters": [{"$ref": "#/components/parameters/Free"}]}, None),
        ({"parameters": [{"$ref": "#/components/parameters/Needed"}]}, "query parameter n"),
        ({"parameters": [{"$ref": "#/components/parameters/Loop"}]}, "cannot be read"),
        ({"parameters": [{"$ref": "#/nowhere"}]}, "cannot be read"),
        ({"parameters": [{"$ref": "http://other.example/p.json"}]}, "cannot be read"),
        ({"parameters": [parameter()] * 101}, "cannot be read"),
        ({"requestBody": {}}, "body"),
        ({"security": [{"bearer": []}]}, "credentials"),
        ({"security": []}, None),
        ({"security": [{"bearer": []}, {}]}, None),
        ({"security": "yes"}, "credentials"),
        ({"servers": [{"url": "http://other.example"}]}, "servers of its own"),
        ({"responses": {"200": {"content": {"text/event-stream": {}}}}}, "stream"),
        ({"operationId": "delete_user_users_get"}, "delete"),
        ({"operationId": "resetCounters"}, "reset"),
        ({"operationId": "signOutNow"}, "sign out"),
        ({"operationId": "settings_offset_get"}, None),
        ({"operationId": ["delete"]}, None),
    ],
)
def test_what_a_route_must_not_need(operation: dict[str, Any], says: str | None) -> None:
    parameters = {
        "Free": parameter("f"),
        "Needed": parameter("n", required=True),
        "Loop": {"$ref": "#/components/parameters/Loop"},
    }
    reason = why(operation, components={"parameters": parameters})
    assert (reason is None) == (says is None), reason
    assert says is None or says in str(reason)


@pytest.mark.parametrize(
    "path",
    [
        "/logout",
        "/log-out",
        "/users/signOut",
        "/DELETE/all",
        "/cart/%64elete",
        "/jobs/run",
        "/flush",
    ],
)
def test_a_path_that_sounds_like_a_change_is_left_out(path: str) -> None:
    assert "may change" in str(why({}, path))


@pytest.mark.parametrize("path", ["/", "/updates", "/login", "/blog/outlook", "/settings", "/runs"])
def test_a_path_that_does_not_is_taken(path: str) -> None:
    assert why({}, path) is None


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/items/{id}", "its path needs a parameter"),
        ("items", "begins with /"),
        ("/a b", "%-encoded"),
        ("/a\r\nX-Evil: 1", "%-encoded"),
        ("/\x1b[2J", "%-encoded"),
        ("/\ud800", "%-encoded"),
        ("/a#b", "fragment"),
        ("/" + "a" * 9000, "longer than"),
    ],
)
def test_a_path_that_cannot_be_sent_as_it_is(path: str, says: str) -> None:
    paths = {"/fine": {"get": {}}, path: {"get": {}}}
    ((left, reason),) = listed(paths).left_out
    assert says in reason
    assert left.isprintable()
    assert len(left) <= 200


def test_parameters_and_security_of_the_whole() -> None:
    needed = {"parameters": [parameter(required=True)]}
    assert "query parameter q" in str(why({}, item=needed))
    assert why({"parameters": [parameter(required=False)]}, item=needed) is None
    assert why({}, security=[{"bearer": []}]) == "it needs credentials"
    assert why({"security": []}, security=[{"bearer": []}]) is None


def test_other_methods_are_no_routes() -> None:
    found = listed({"/a": {"get": {}}, "/b": {"post": {}}, "/c": {}, "/d": None, "/e": []})
    assert [route.path for route in found.routes] == ["/a"]
    assert found.left_out == []


def test_twelve_routes_of_equal_weight_and_the_rest_by_name() -> None:
    found = listed({f"/{number}": {"get": {}} for number in range(15)})
    assert [route.path for route in found.routes] == [f"/{number}" for number in range(12)]
    assert {route.weight for route in found.routes} == {1 / 12}
    assert [path for path, _ in found.left_out] == ["/12", "/13", "/14"]
    assert all("first 12" in reason for _, reason in found.left_out)


@pytest.mark.parametrize(
    ("servers", "path"),
    [
        ([], "/a"),
        ([{"url": "/"}], "/a"),
        ([{"url": "/api"}], "/api/a"),
        ([{"url": "/api/"}], "/api/a"),
        ([{"url": "http://127.0.0.1:8000/v1"}], "/v1/a"),
        ([{"url": "https://shop.example/v1"}], "/a"),
        ([{"url": "//shop.example/v1"}], "/a"),
        ([{"url": "https://shop.example/v1"}, {"url": "/v2"}], "/v2/a"),
        ([{"url": "/{at}", "variables": {"at": {"default": "v3"}}}], "/v3/a"),
        ([{"url": "/{at}"}], "/a"),
        ([{"url": "http://[::1"}, {"url": 7}, 7, {}], "/a"),
        ({"url": "/api"}, "/a"),
        (None, "/a"),
    ],
)
def test_the_base_path_is_that_of_this_server(servers: Any, path: str) -> None:
    assert taken({"/a": {"get": {}}}, servers=servers) == [path]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (b"", InvalidInput, "not JSON"),
        (b"<html>", InvalidInput, "not JSON"),
        (b"\xff\xfe\x00", InvalidInput, "not JSON"),
        (b"[" * 100_000, InvalidInput, "nested too deep"),
        (b'{"openapi": ' + b"9" * 5000 + b"}", InvalidInput, "not JSON"),
        (b"[]", InvalidInput, "no OpenAPI 3"),
        (b'{"swagger": "2.0", "paths": {"/": {"get": {}}}}', InvalidInput, "no OpenAPI 3"),
        (b'{"openapi": 3.1}', InvalidInput, "no OpenAPI 3"),
        (b'{"openapi": "3.1.0"}', TooLittleEvidence, "names no GET route"),
        (b'{"openapi": "3.1.0", "paths": 1}', TooLittleEvidence, "names no GET route"),
        (
            b'{"openapi": "3.1.0", "paths": {"/{id}": {"get": {}}}}',
            TooLittleEvidence,
            "needs a parameter",
        ),
    ],
)
def test_a_document_that_names_nothing(text: bytes, error: type[AdvisorError], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        openapi.listed(text, url=URL)
    assert "--endpoint" in str(caught.value.remedy)


def test_a_small_document_cannot_ask_for_much_work() -> None:
    many = [parameter(f"p{number}") for number in range(30_000)]
    long = {"$ref": "#/" + "a/" * 1_000_000}
    hostile = {
        "openapi": "3.0.0",
        "x": {"get": {"parameters": many}},
        "y": {"get": {"parameters": [long], "operationId": "a" * 1_000_000}},
        "security": [{"a": []}] * 50_000,
        "servers": [{"url": "http://[" * 10}] * 10_000,
        "paths": {f"/{number}": {"$ref": f"#/{'xy'[number % 2]}"} for number in range(20_000)},
    }
    text = json.dumps(hostile).encode()
    assert len(text) < openapi.MAX_BYTES
    began = time.process_time()
    json.loads(text)
    parsing = time.process_time() - began
    with pytest.raises(TooLittleEvidence):
        openapi.listed(text, url=URL)
    # Looking at it costs about what parsing it does, not a thousand times that.
    assert time.process_time() - began - parsing < 10 * parsing + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "get",
                    "parameters",
                    "$ref",
                    "name",
                    "in",
                    "required",
                    "security",
                    "servers",
                    "url",
                ]
            )
            | st.sampled_from(["variables", "responses", "content", "operationId", "/a", "#/paths"])
            | st.text(max_size=5),
            inner | st.sampled_from(["#/paths/~1a", "#/", "#/servers", "query", "/{a}"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(
    st.dictionaries(st.sampled_from(["/a", "/b{", "c", "/d"]), json_values),
    json_values,
    json_values,
)
def test_no_document_ends_in_a_traceback(paths: Any, servers: Any, security: Any) -> None:
    try:
        found = listed(paths, servers=servers, security=security)
    except TooLittleEvidence:
        return
    assert found.routes
    assert all(route.path.startswith("/") and route.path.isascii() for route in found.routes)
    assert all(path.isprintable() and reason.isprintable() for path, reason in found.left_out)


@given(st.binary(max_size=200))
def test_no_bytes_end_in_a_traceback(text: bytes) -> None:
    with pytest.raises(AdvisorError):
        openapi.listed(text, url=URL)


@pytest.mark.daemon
def test_the_document_of_a_real_app(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "http_app:app")
    found = asyncio.run(openapi.routes(resolve(f"{base}/plain")))
    paths = {route.path for route in found.routes}
    assert {"/plain", "/cached", "/old", "/page"} <= paths
    left = dict(found.left_out)
    assert "path needs" in left["/items/{item}"]
    assert "query parameter q" in left["/search"]
    assert "header parameter x-tenant" in left["/tenant"]
    assert "credentials" in left["/secret"]
    assert "may change" in left["/logout"]
    assert "/order" not in paths | set(left)


@pytest.mark.daemon
def test_a_root_path_is_honoured(serve: Callable[..., str]) -> None:
    base = serve("uvicorn", "http_app:mounted")
    endpoint = resolve(base)
    # FastAPI names its root path as the first server.
    found = asyncio.run(openapi.routes(endpoint))
    assert "/api/items" in {route.path for route in found.routes}


def test_one_get_and_nothing_else(
    recorder: Callable[..., Any], answer: Callable[..., bytes]
) -> None:
    body = json.dumps({"openapi": "3.1.0", "paths": {"/a": {"get": {}}}}).encode()
    server = recorder(lambda _request: [answer(body)])
    found = asyncio.run(openapi.routes(resolve(server.url)))
    assert [route.path for route in found.routes] == ["/a"]
    assert server.lines == ["GET /openapi.json HTTP/1.1"]


@pytest.mark.parametrize(
    ("status", "headers", "error", "says"),
    [
        (b"404 Not Found", [], TooLittleEvidence, "no OpenAPI document"),
        (b"500 Oops", [], TooLittleEvidence, "no OpenAPI document"),
        (b"307 Away", [b"Location: http://other.example/openapi.json"], GuardRefused, "other host"),
    ],
)
def test_there_is_no_document(
    recorder: Callable[..., Any],
    answer: Callable[..., bytes],
    status: bytes,
    headers: list[bytes],
    error: type[AdvisorError],
    says: str,
) -> None:
    server = recorder(lambda _request: [answer(b"", *headers, status=status)])
    with pytest.raises(error, match=says):
        asyncio.run(openapi.routes(resolve(server.url)))


def test_a_document_that_is_too_large(
    recorder: Callable[..., Any], answer: Callable[..., bytes]
) -> None:
    server = recorder(lambda _request: [answer(b" " * (openapi.MAX_BYTES + 1))])
    with pytest.raises(TooLittleEvidence, match="over 8 MiB"):
        asyncio.run(openapi.routes(resolve(server.url)))
