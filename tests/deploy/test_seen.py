"""What a look at a host amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.parcel import parcel, read_tree
from advisor.deploy.seen import app_to_roll_back, check, has
from advisor.deploy.target import Trouble
from tests.deploy.trees import rendered

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.deploy.parcel import Parcel


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Parcel:
    folder: Path = tmp_path_factory.mktemp("seen")
    found = parcel(read_tree(rendered(folder / "deploy")), ["app"])
    assert found is not None
    return found


def status(handed: Parcel, **app: Any) -> dict[str, Any]:
    shop = {"manifest": handed.manifest_digest, "drift": []} | app
    return {"operation": {"state": "committed"}, "apps": {"shop": shop}}


def test_what_is_there_as_it_was_installed_needs_nothing(handed: Parcel) -> None:
    assert has(status(handed), handed)
    assert not has(status(handed, manifest="another"), handed)
    assert not has(status(handed, drift=[{"path": "a"}]), handed)
    assert not has(status(handed) | {"unserved": ["shop"]}, handed)
    assert has(status(handed) | {"unserved": ["pages"]}, handed)
    assert not has({}, handed)


@pytest.mark.parametrize(
    ("state", "same"),
    [
        ("committed", True),
        ("returned", True),
        ("refused", True),
        ("held", False),
        # The files are back, and what the daemons run is not known: an apply has to go on.
        ("return_failed", False),
    ],
)
def test_what_is_under_way_or_half_returned_is_not_at_rest(
    handed: Parcel, state: str, same: bool
) -> None:
    assert has(status(handed) | {"operation": {"state": state}}, handed) is same


HOST = {
    "system": {"id": "debian", "version": "12"},
    "is_root": True,
    "has_systemd": True,
    "status": None,
}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"system": {"id": "debian", "version": "11"}}, "debian 11 is untested"),
        ({"system": {"id": "ubuntu", "version": "24.04"}}, "ubuntu 24.04 is untested"),
        ({"system": {"id": "ubuntu", "version": "12"}}, "ubuntu 12 is untested"),
        ({"is_root": False}, "root is needed"),
        ({"has_systemd": False}, "systemd does not run there"),
        ({"status": {"broken": "SyntaxError"}}, "does not answer: SyntaxError"),
    ],
)
def test_a_host_on_which_none_of_this_was_tested_is_refused(
    odd: dict[str, Any], words: str
) -> None:
    check(HOST)
    check(HOST | {"system": {"id": "debian", "version": "13"}})
    with pytest.raises(Trouble, match=words):
        check(HOST | odd)


def test_the_app_to_roll_back_is_the_named_or_the_only_one() -> None:
    one, two = {"apps": {"shop": {}}}, {"apps": {"shop": {}, "pages": {}}}
    assert app_to_roll_back(one, "", all_apps=False) == "shop"
    assert app_to_roll_back(two, "shop", all_apps=False) == "shop"
    assert app_to_roll_back(two, "", all_apps=True) == "pages"
    for known, named, words in (
        (two, "", "several apps: pages, shop"),
        (one, "pages", "no app pages"),
        ({}, "", "no app of ours"),
    ):
        with pytest.raises(Trouble, match=words):
            app_to_roll_back(known, named, all_apps=False)
