from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from advisor.documents import APP_ENVIRONMENT
from advisor.host import gather, servers

if TYPE_CHECKING:
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
    monkeypatch.setattr(servers, "discover", list)  # as on a host where no server runs
    facts = gather(virtualenv=tmp_path / "absent")
    assert APP_ENVIRONMENT in {gap.what for gap in facts.unknown}
    assert facts.components["python"].version.startswith("3.")
