"""What nginx adds to answers, what it gives itself, and what it keeps from the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.render.live_common.clients import SPOOFED, check_unspoofed, get, seen
from tests.render.live_common.streams import PACKED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

MOST_BYTES = 1000
SECURITY = ("X-Content-Type-Options", "Referrer-Policy")


def keys(static: Path) -> dict[str, Any]:
    return {
        "static": {"/static/": str(static)},
        "routes": {"/events": "stream", "/cached": {"microcache": "60s"}},
        "limits": {"request_body": MOST_BYTES},
    }


@pytest.fixture(scope="module")
def site(start: Callable[..., Site], static: Path) -> Site:
    return start(**keys(static))


@pytest.fixture(scope="module")
def without_app(start: Callable[..., Site], static: Path) -> Site:
    return start(with_app=False, **keys(static))


@pytest.mark.parametrize(
    "path", ["/?bytes=256&type=application/json", "/?bytes=5000&type=text/html", "/static/long.css"]
)
def test_text_is_packed_and_caches_are_told(site: Site, path: str) -> None:
    packed, plain = get(site, path, PACKED), get(site, path, {"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    for answer in (packed, plain):
        assert answer.headers["vary"].lower() == "accept-encoding"


@pytest.mark.parametrize(
    "path", ["/?bytes=255", "/?bytes=5000&type=image/png", "/?bytes=5000&type=text/event-stream"]
)
def test_what_gains_nothing_or_streams_is_not(site: Site, path: str) -> None:
    assert "content-encoding" not in get(site, path, PACKED).headers


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/?status=404", 404),
        ("/?status=500", 500),
        ("/cached", 200),
        ("/static/a.css", 200),
        ("/static/none", 404),
    ],
)
def test_the_security_headers_come_once_with_every_answer(
    site: Site, path: str, status: int
) -> None:
    assert_secured(get(site, path), status)


def test_with_nginxs_own_errors_too(site: Site, without_app: Site) -> None:
    assert_secured(get(without_app, "/"), 502)
    with site.client() as client:
        assert_secured(client.post("/", content=b"x" * (MOST_BYTES + 1)), 413)


def assert_secured(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    for name in SECURITY:
        assert len(answer.headers.get_list(name)) == 1, name
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "/" not in answer.headers["server"], "nginx tells its version"


def test_what_the_app_says_itself_is_neither_doubled_nor_changed(site: Site) -> None:
    own = {"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
    own |= {"X-Content-Type-Options": "nosniff"}
    said = "&".join(f"header={name}:{value}" for name, value in own.items())
    answer = get(site, f"/?{said}")
    assert {name: answer.headers.get_list(name) for name in own} == {
        name: [value] for name, value in own.items()
    }


def test_files_are_served_without_the_app_and_may_be_kept(without_app: Site) -> None:
    answer = get(without_app, "/static/a.css")
    assert (answer.text, answer.headers["content-type"]) == ("body {}", "text/css")
    assert "max-age=3600" in answer.headers["cache-control"]
    again = {"If-None-Match": answer.headers["etag"]}
    assert get(without_app, "/static/a.css", again).status_code == 304
    assert get(without_app, "/static/none").status_code == 404
    assert get(without_app, "/static/").status_code == 403, (
        "a folder's content is nobody's business"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/static../secret",
        "/static/../secret",
        "/static/../../secret",
        "/static/%2e%2e/secret",
        "/static/..%2fsecret",
        "/static//../../secret",
        "/static/%5c../secret",
    ],
)
def test_no_path_leads_out_of_the_folder(without_app: Site, path: str) -> None:
    answer = without_app.raw(f"GET {path} HTTP/1.0\r\n\r\n")
    status, body = answer.split()[1], answer.partition("\r\n\r\n")[2]
    assert status in {"400", "403", "404", "502"}, answer
    assert body != "secret"


def test_a_spoofed_origin_does_not_reach_the_app(site: Site) -> None:
    told = seen(site, SPOOFED)
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == "127.0.0.1"
    assert told["x-forwarded-proto"] == told["scheme"] == "http"
    check_unspoofed(dict(told["headers"]))


@pytest.mark.parametrize("path", ["/", "/events", "/cached"])
def test_a_body_over_the_limit_is_refused_before_the_app_sees_it(site: Site, path: str) -> None:
    def chunked() -> list[bytes]:
        return [b"x" * 100] * (MOST_BYTES // 100 + 1)

    with site.client() as client, site.app() as app:
        before = app.get("/count").json()["n"]
        assert client.post(path, content=b"x" * (MOST_BYTES + 1)).status_code == 413
        assert client.post("/count", content=iter(chunked())).status_code == 413
        assert app.get("/count").json()["n"] == before + 1
        assert client.post("/count", content=b"x" * MOST_BYTES).json()["received"] == MOST_BYTES
