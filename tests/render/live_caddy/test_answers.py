"""What Caddy adds to answers, what it gives itself, and what it keeps from the app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.render.live_common.clients import get
from tests.render.live_common.streams import PACKED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

MOST_BYTES = 1000


def keys(static: Path) -> dict[str, Any]:
    return {
        "static": {"/static": str(static)},
        "routes": {"/events": "stream"},
        "limits": {"request_body": MOST_BYTES},
    }


@pytest.fixture(scope="module")
def site(start: Callable[..., Site], static: Path) -> Site:
    return start(**keys(static))


@pytest.fixture(scope="module")
def without_app(start: Callable[..., Site], static: Path) -> Site:
    return start(with_app=False, **keys(static))


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize(
    "path", ["/?bytes=257&type=application/json", "/?bytes=5000&type=text/html", "/static/long.css"]
)
def test_text_is_packed_and_caches_are_told(site: Site, path: str, encoding: str) -> None:
    with site.client() as client:
        asked = client.build_request("GET", path, headers={"Accept-Encoding": encoding})
        packed = client.send(asked, stream=True)
        raw = b"".join(packed.iter_raw())
    plain = get(site, path, {"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == encoding
    assert "content-encoding" not in plain.headers
    assert 0 < len(raw) < len(plain.content)
    assert "accept-encoding" in packed.headers["vary"].lower()


def test_zstd_goes_first(site: Site) -> None:
    with site.client() as client:
        asked = client.build_request(
            "GET", "/?bytes=5000&type=text/html", headers={"Accept-Encoding": "gzip, zstd"}
        )
        answer = client.send(asked, stream=True)
        answer.close()
    assert answer.headers["content-encoding"] == "zstd"


@pytest.mark.parametrize(
    "path",
    [
        "/?bytes=255",
        "/?bytes=5000&type=image/png",
        "/?bytes=5000&type=text/event-stream",
        "/events/x?bytes=5000&type=text/plain",
    ],
)
def test_what_gains_nothing_or_streams_is_not(site: Site, path: str) -> None:
    assert "content-encoding" not in get(site, path, PACKED).headers


def test_what_the_app_has_packed_is_left_alone(site: Site) -> None:
    with site.client() as client:
        asked = client.build_request(
            "GET", "/?bytes=500&type=text/html&header=content-encoding:br", headers=PACKED
        )
        answer = client.send(asked, stream=True)
        assert b"".join(answer.iter_raw()) == b"x" * 500
    assert answer.headers["content-encoding"] == "br"


@pytest.mark.parametrize("path", ["/", "/?status=404", "/?status=500", "/static/a.css"])
def test_security_headers_come_once(site: Site, path: str) -> None:
    answer = get(site, path)
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert len(answer.headers.get_list("referrer-policy")) == 1


def test_the_apps_own_stand(site: Site) -> None:
    answer = get(site, "/?header=referrer-policy:no-referrer")
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]


def test_static_files_are_served_and_lead_nowhere_else(without_app: Site) -> None:
    answer = get(without_app, "/static/a.css")
    assert (answer.status_code, answer.text) == (200, "body {}")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    kept = {"If-None-Match": answer.headers["etag"]}
    assert get(without_app, "/static/a.css", kept).status_code == 304
    absent = get(without_app, "/static/none")
    assert absent.status_code == 404
    assert "cache-control" not in absent.headers
    for path in (
        "/static../secret",
        "/static/../secret",
        "/static/..%2fsecret",
        "/static/%2e%2e/secret",
    ):
        assert (
            "secret" not in without_app.raw(f"GET {path} HTTP/1.0\r\n\r\n").partition("\r\n\r\n")[2]
        )
    assert get(without_app, "/static/").status_code == 404
    assert get(without_app, "/elsewhere").status_code == 502


def test_a_body_over_the_limit_is_413_before_the_app_sees_it(site: Site, without_app: Site) -> None:
    with site.client() as client, without_app.client() as alone:
        assert client.post("/", content=b"x" * MOST_BYTES).json()["received"] == MOST_BYTES
        assert alone.post("/", content=b"x" * MOST_BYTES).status_code == 502
        assert alone.post("/", content=b"x" * (MOST_BYTES + 1)).status_code == 413
        assert client.get("/").status_code == 200


def test_one_of_unknown_length_is_cut(site: Site) -> None:
    """Its length shows while it is handed on, so that the app may have begun."""
    with site.client() as client:
        assert client.post("/", content=iter([b"x" * 400] * 2)).json()["received"] == 800
        assert client.post("/", content=iter([b"x" * 400] * 5)).status_code in {413, 502}
