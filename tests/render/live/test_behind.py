"""nginx behind another proxy: that one's word counts, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.render.live_common.clients import seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live.site import Site

pytestmark = pytest.mark.daemon

TRUSTED, STRANGER = "127.0.0.2", "127.0.0.3"
CLIENT = "203.0.113.9"


@pytest.fixture(scope="module")
def site(start: Callable[..., Site]) -> Site:
    return start(
        limits={"rate_per_client_rps": 1},
        pins={
            "nginx.set_real_ip_from": [f"{TRUSTED}/32"],
            "nginx.limit_req_rate": "1r/m",
            "nginx.limit_req_burst": 5,
        },
    )


def test_the_proxy_in_front_is_believed(site: Site) -> None:
    told = seen(site, {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"}, TRUSTED)
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == CLIENT
    assert told["x-forwarded-proto"] == told["scheme"] == "https"


def test_of_a_list_the_last_that_is_not_trusted_counts(site: Site) -> None:
    chain = f"6.6.6.6, {CLIENT}, {TRUSTED}"
    told = seen(site, {"X-Forwarded-For": chain, "Forwarded": "for=6.6.6.6"}, TRUSTED)
    assert told["x-forwarded-for"] == told["client"] == CLIENT
    assert told["x-forwarded-proto"] == told["scheme"] == "http"
    assert "forwarded" not in told


def test_a_stranger_is_not(site: Site) -> None:
    said = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Real-IP": CLIENT}
    told = seen(site, said, STRANGER)
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == STRANGER
    assert told["x-forwarded-proto"] == told["scheme"] == "http"


@pytest.mark.parametrize("proto", ["javascript", "https, http", "HTTPS\tx"])
def test_no_other_word_for_the_scheme_gets_through(site: Site, proto: str) -> None:
    told = seen(site, {"X-Forwarded-For": "203.0.113.77", "X-Forwarded-Proto": proto}, TRUSTED)
    assert told["x-forwarded-proto"] in {"http", "https"}


def test_limits_count_the_client_and_not_the_proxy(site: Site) -> None:
    with site.client(TRUSTED) as client:
        flood = {"X-Forwarded-For": "203.0.113.20"}
        statuses = [client.get("/", headers=flood).status_code for _ in range(10)]
        assert statuses == [200] * 6 + [429] * 4
        calm = {"X-Forwarded-For": "203.0.113.21"}
        assert client.get("/", headers=calm).status_code == 200
