from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from advisor.documents import APP_ENVIRONMENT
from advisor.host import gather, servers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_the_apps_environment_is_read_where_it_is_named(tmp_path: Path) -> None:
    site = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    (site / "gunicorn-20.1.0.dist-info").mkdir(parents=True)
    (tmp_path / "pyvenv.cfg").write_text("version = 3.11.2\n")
    facts = gather(virtualenv=tmp_path)
    assert facts.components["gunicorn"].version == "20.1.0"
    assert facts.components["python"].version == "3.11.2"
    assert "uvicorn" not in facts.components


def test_without_it_the_versions_are_said_to_be_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "discover", lambda _root: [])  # a host where no server runs
    facts = gather(virtualenv=tmp_path / "absent")
    assert APP_ENVIRONMENT in {gap.what for gap in facts.unknown}
    assert facts.components["python"].version.startswith("3.")


def test_the_machine_itself_is_in_the_facts() -> None:
    facts = gather()
    assert [item.name for item in facts.interfaces] == sorted(
        item.name for item in facts.interfaces
    )
    assert facts.memory.swap_total_bytes is not None  # every Linux prints SwapTotal
    assert facts.memory.swap_used_bytes is not None
    assert facts.memory.swap_used_bytes <= facts.memory.swap_total_bytes


def test_another_network_namespace_has_interfaces_of_its_own(
    tree: Callable[[str], Path],
) -> None:
    root = tree("v1")
    link = root / "sys/class/net/eth0"
    link.mkdir(parents=True)
    (link / "flags").write_text("0x1003\n")
    (link / "operstate").write_text("up\n")
    assert [item.name for item in gather(812, root=root).interfaces] == ["eth0"]
    for process, inode in (("812", 4026532000), ("self", 4026531840)):
        (root / f"proc/{process}/ns").mkdir(parents=True, exist_ok=True)
        (root / f"proc/{process}/ns/net").symlink_to(f"net:[{inode}]")
    facts = gather(812, root=root)
    assert facts.interfaces == []
    assert any("interfaces of pid 812" in gap.what for gap in facts.unknown)
