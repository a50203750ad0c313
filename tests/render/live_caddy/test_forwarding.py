"""What the app is told of the client: by Caddy, by a trusted proxy before it, by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.render.live_common.clients import SPOOFED, check_unspoofed, seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.render.live_caddy.site import Site

pytestmark = pytest.mark.daemon

TRUSTED, STRANGER = "127.0.0.2", "127.0.0.3"
CLIENT = "203.0.113.9"
EVERY_SPELLING = SPOOFED | {
    # WSGI's environment has one name for both spellings.
    "X_Forwarded_For": "6.6.6.7",
    "X-Forwarded_Proto": "https",
    "x_real_ip": "6.6.6.7",
}


@pytest.fixture(scope="module")
def edge(start: Callable[..., Site]) -> Site:
    return start()


@pytest.fixture(scope="module")
def behind(start: Callable[..., Site]) -> Site:
    return start(pins={"caddy.trusted_proxies": [f"{TRUSTED}/32"]})


def test_what_a_client_says_of_its_origin_does_not_get_through(edge: Site) -> None:
    told = seen(edge, EVERY_SPELLING)
    assert told["x-forwarded-for"] == told["x-real-ip"] == told["client"] == "127.0.0.1"
    assert told["x-forwarded-proto"] == told["scheme"] == "http"
    assert told["host"] == told["x-forwarded-host"] == f"127.0.0.1:{edge.port}"
    check_unspoofed(dict(told["headers"]))
    assert "6.6.6.7" not in dict(told["headers"]).values()
    assert not [name for name, _ in told["headers"] if "_" in name]


def test_each_request_has_an_id_of_its_own(edge: Site) -> None:
    assert seen(edge, {})["x-request-id"] != seen(edge, {})["x-request-id"]


def test_a_header_named_as_hop_by_hop_is_still_caddys_own(edge: Site) -> None:
    told = seen(edge, {"Connection": "close, X-Forwarded-For, X-Real-IP", "X-Real-IP": "6.6.6.6"})
    assert told["x-forwarded-for"] == told["x-real-ip"] == "127.0.0.1"


def test_the_proxy_in_front_is_believed(behind: Site) -> None:
    told = seen(behind, {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https"}, TRUSTED)
    assert told["x-forwarded-for"] == told["client"] == CLIENT
    assert told["x-forwarded-proto"] == told["scheme"] == "https"
    assert told.get("x-real-ip", CLIENT) == CLIENT


def test_of_a_list_the_last_that_is_not_trusted_counts(behind: Site) -> None:
    """The rest may be the client's own invention."""
    told = seen(behind, EVERY_SPELLING | {"X-Forwarded-For": f"6.6.6.6, {CLIENT}"}, TRUSTED)
    assert told["x-forwarded-for"] == told["client"] == CLIENT
    assert "forwarded" not in told
    assert told.get("x-real-ip", CLIENT) == CLIENT
    assert not [name for name, _ in told["headers"] if "_" in name]


def test_two_trusted_proxies_in_a_row_where_caddy_can_tell(behind: Site) -> None:
    told = seen(behind, {"X-Forwarded-For": f"6.6.6.6, {CLIENT}, {TRUSTED}"}, TRUSTED)
    # Caddy 2.6 sees one proxy far, and its file says so.
    assert told["x-forwarded-for"] == (TRUSTED if behind.program.is_old else CLIENT)


def test_a_stranger_is_not(behind: Site) -> None:
    told = seen(behind, EVERY_SPELLING, STRANGER)
    assert told["x-forwarded-for"] == told["client"] == STRANGER
    assert told.get("x-real-ip", STRANGER) == STRANGER
    assert told["x-forwarded-proto"] == told["scheme"] == "http"


@pytest.mark.parametrize("source", [TRUSTED, STRANGER])
def test_who_says_nothing_is_the_client(behind: Site, source: str) -> None:
    assert seen(behind, {}, source)["x-forwarded-for"] == source
