from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.inventory import hosts
from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path


def test_without_an_inventory_it_is_this_host() -> None:
    found = hosts(None)
    assert found.name == socket.gethostname()
    assert f"{found.name}," in found.arguments
    assert "ansible_connection=local" in found.arguments


@pytest.mark.parametrize("names", ["web1,", "web1,web2"])
def test_names_with_a_comma_are_an_inventory(names: str) -> None:
    assert hosts(names).arguments == ("-i", names)


def test_an_inventory_is_handed_on_with_its_limit(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").touch()
    path = str(tmp_path / "hosts.yml")
    assert hosts(path, "web*").arguments == ("-i", path, "--limit", "web*")


def test_an_inventory_that_is_not_there_is_said() -> None:
    with pytest.raises(InvalidInput, match=r"-i nowhere\.yml: there is no such file"):
        hosts("nowhere.yml")


def test_a_limit_needs_an_inventory() -> None:
    with pytest.raises(InvalidInput, match="--limit"):
        hosts(None, "web1")
