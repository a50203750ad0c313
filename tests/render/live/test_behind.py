"""nginx behind another proxy: that one's word counts, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

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


def seen(site: Site, source: str, **said: str) -> dict[str, Any]:
    """What the app sees of a request, its headers by name."""
    with site.client(source) as client:
        answer = client.get(
            "/", headers={name.replace("_", "-"): text for name, text in said.items()}
        )
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    assert len(dict(told["headers"])) == len(told["headers"]), "a header came twice"
    return told | dict(told["headers"])


def test_the_proxy_in_front_is_believed(site: Site) -> None:
    told = seen(site, TRUSTED, X_Forwarded_For=CLIENT, X_Forwarded_Proto="https")
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == CLIENT
    assert told["x-forwarded-proto"] == told["scheme"] == "https"


def test_of_a_list_the_last_that_is_not_trusted_counts(site: Site) -> None:
    chain = f"6.6.6.6, {CLIENT}, {TRUSTED}"
    told = seen(site, TRUSTED, X_Forwarded_For=chain, Forwarded="for=6.6.6.6")
    assert told["x-forwarded-for"] == told["client"] == CLIENT
    assert told["x-forwarded-proto"] == told["scheme"] == "http"
    assert "forwarded" not in told


def test_a_stranger_is_not(site: Site) -> None:
    told = seen(site, STRANGER, X_Forwarded_For=CLIENT, X_Forwarded_Proto="https", X_Real_IP=CLIENT)
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == STRANGER
    assert told["x-forwarded-proto"] == told["scheme"] == "http"


@pytest.mark.parametrize("proto", ["javascript", "https, http", "HTTPS\tx"])
def test_no_other_word_for_the_scheme_gets_through(site: Site, proto: str) -> None:
    told = seen(site, TRUSTED, X_Forwarded_For="203.0.113.77", X_Forwarded_Proto=proto)
    assert told["x-forwarded-proto"] in {"http", "https"}


def test_limits_count_the_client_and_not_the_proxy(site: Site) -> None:
    with site.client(TRUSTED) as client:
        flood = {"X-Forwarded-For": "203.0.113.20"}
        statuses = [client.get("/", headers=flood).status_code for _ in range(10)]
        assert statuses == [200] * 6 + [429] * 4
        calm = {"X-Forwarded-For": "203.0.113.21"}
        assert client.get("/", headers=calm).status_code == 200
