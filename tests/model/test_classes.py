"""Classes by name, and as a host was measured to run them."""

from __future__ import annotations

import pytest

from advisor.model.classes import (
    CLASSES,
    GRANIAN,
    GRANIAN_WSGI,
    GTHREAD,
    OFFERED,
    SYNC,
    UVICORN_WORKER,
    calibrated,
    named,
)


@pytest.mark.parametrize(
    ("name", "interface", "expected"),
    [
        ("sync", "wsgi", SYNC),
        ("sync", "asgi", None),
        ("uvicorn.workers.UvicornWorker", "asgi", UVICORN_WORKER),
        ("granian", "asgi", GRANIAN),
        ("granian", "wsgi", GRANIAN_WSGI),
        ("unheard", "wsgi", None),
        (None, "asgi", None),
    ],
)
def test_a_name_is_a_class_of_its_interface(
    name: str | None, interface: str, expected: object
) -> None:
    assert named(name, interface) is expected


def test_every_class_on_offer_has_its_name() -> None:
    for (_, interface), offered in OFFERED.items():
        assert offered
        assert all(each.interface == interface for each in offered)
        assert all(each.name in CLASSES for each in offered)


def test_only_differences_to_the_reference_count() -> None:
    costs = {"sync": (0.0002, 0.0003), "gthread": (0.00025, 0.0005)}
    sync, gthread = calibrated((SYNC, GTHREAD), costs)
    assert sync.cost_s == 0
    assert gthread.cost_s == pytest.approx(0.00005)
    assert gthread.handover_s == pytest.approx(0.00025)


def test_without_the_reference_the_table_stays() -> None:
    assert calibrated((SYNC, GTHREAD), {"gthread": (0.1, 0.1)}) == (SYNC, GTHREAD)
    assert calibrated((SYNC,), {}) == (SYNC,)
