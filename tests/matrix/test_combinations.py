"""The matrix is what it says: every pick with every other, and nothing that nobody picks."""

from __future__ import annotations

from itertools import combinations as choose
from itertools import product

import pytest

from advisor import files
from advisor.intent import Intent
from tests.matrix.combinations import (
    CONTRARY,
    FEATURES,
    MASKS,
    PROXIES,
    SERVERS,
    SOCKETS,
    TLS,
    Combination,
    advisor_yml,
    combinations,
    fits,
)

ALL = combinations()


def together(first: str, second: str) -> bool:
    """Whether two features can be picked for one deployment."""
    bases = product(PROXIES, TLS)
    apart = {first, second} in CONTRARY
    return not apart and any(fits(first, *base) and fits(second, *base) for base in bases)


def test_a_few_hundred_and_none_twice() -> None:
    assert 300 <= len(ALL) <= 600
    assert len(set(ALL)) >= len(ALL) - len(SERVERS) * len(PROXIES) * len(TLS)


def test_the_axes_in_full() -> None:
    bases = {(one.server, one.proxy, one.tls, one.socket) for one in ALL}
    assert bases == set(product(SERVERS, PROXIES, TLS, SOCKETS))


def test_any_two_features_are_met_both_with_and_without_each_other() -> None:
    for first, second in choose(FEATURES, 2):
        met = {(first in one.features, second in one.features) for one in ALL}
        assert {(False, False), (True, False), (False, True)} <= met, (first, second)
        assert ((True, True) in met) == together(first, second), (first, second)


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_met_on_every_value_of_every_axis(feature: str) -> None:
    with_it = [one for one in ALL if feature in one.features]
    assert {one.server for one in with_it} == set(SERVERS)
    assert {one.socket for one in with_it} == set(SOCKETS)
    bases = set(product(PROXIES, TLS))
    assert {(one.proxy, one.tls) for one in with_it} == {
        base for base in bases if fits(feature, *base)
    }


def test_any_three_masks_are_independent() -> None:
    assert len(MASKS) == len(FEATURES)
    assert all(one ^ two ^ three for one, two, three in choose(MASKS, 3))


def test_each_is_an_advisor_yml() -> None:
    for one in ALL:
        files.validate(Intent, advisor_yml(one), name="advisor.yml")


def test_features_are_joined() -> None:
    one = Combination("gthread", "nginx", "files", "unix", ("stream", "websocket", "http3"))
    data = advisor_yml(one)
    assert data["routes"] == {"/events": "stream", "/ws": "websocket"}
    assert data["pins"] == {"gunicorn.worker_class": "gthread", "nginx.http3": True}
    assert "manage" not in data
    managed = Combination("gthread", "none", "http", "unix", ("sysctl", "monitoring"))
    assert advisor_yml(managed)["manage"] == ["server", "proxy", "systemd", "sysctl", "monitoring"]
