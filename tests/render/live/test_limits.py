"""Rate and connection limits: one address's, and nobody else's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

BURST = 5
CONNECTIONS = 2


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    """So low a rate that a slow machine cannot let another request through."""
    return start(
        routes={"/events": "stream"},
        limits={"rate_per_client_rps": 1},
        pins={
            "nginx.limit_req_rate": "1r/m",
            "nginx.limit_req_burst": BURST,
            "nginx.limit_conn_per_client": CONNECTIONS,
        },
    )


def test_beyond_the_burst_it_is_429_for_that_client_alone(site: Site) -> None:
    with site.client("127.0.0.11") as client, site.client("127.0.0.12") as other:
        statuses = [client.get("/").status_code for _ in range(BURST + 4)]
        assert statuses == [200] * (BURST + 1) + [429] * 3
        assert other.get("/").status_code == 200
        refused = client.get("/")
        assert refused.headers["x-content-type-options"] == "nosniff"


def test_the_app_is_not_asked_for_what_is_refused(site: Site) -> None:
    with site.client("127.0.0.13") as client, site.app() as app:
        before = app.get("/asked").json()["n"]
        for _ in range(BURST + 10):
            client.get("/asked")
        assert app.get("/asked").json()["n"] == before + BURST + 2


def test_a_client_may_hold_so_many_requests_and_others_theirs(site: Site) -> None:
    with contextlib.ExitStack() as held:
        client = held.enter_context(site.client("127.0.0.14"))
        other = held.enter_context(site.client("127.0.0.15"))
        for _ in range(CONNECTIONS):
            held.enter_context(client.stream("GET", "/events"))
        assert client.get("/").status_code == 429
        assert other.get("/").status_code == 200
