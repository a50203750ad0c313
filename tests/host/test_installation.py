from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from advisor.host.installation import installation, own

NOWHERE = Path("/nonexistent")


def make(prefix: Path, *packages: str, library: str = "python3.12", cfg: str | None = None) -> str:
    site = prefix / "lib" / library / "site-packages"
    for package in packages:
        (site / package).mkdir(parents=True)
    site.mkdir(parents=True, exist_ok=True)
    if cfg is not None:
        (prefix / "pyvenv.cfg").write_text(cfg)
    return f"/{prefix.name}"


@pytest.mark.parametrize(
    ("cfg", "version"),
    [
        ("home = /usr/bin\nversion = 3.12.4\n", "3.12.4"),
        ("version_info = 3.12.4.final.0\n", "3.12.4"),
        ("home = /usr/bin\n", "3.12"),
    ],
)
def test_a_virtual_environment(cfg: str, version: str, tmp_path: Path) -> None:
    make(tmp_path / "venv", "gunicorn-27.0.1.dist-info", "uvicorn_worker-0.4.0.dist-info", cfg=cfg)
    found = installation(
        ["/usr/bin/env", "/venv/bin/gunicorn"],
        executable="/usr/bin/python3",
        mapped="",
        home=NOWHERE,
        root=tmp_path,
    )
    assert (found.virtualenv, found.python) == ("/venv", version)
    assert found.packages == {"gunicorn": "27.0.1", "uvicorn-worker": "0.4.0"}


def test_an_environment_that_only_its_mapped_modules_show(tmp_path: Path) -> None:
    make(tmp_path / "venv", "uvicorn-0.54.0.dist-info", cfg="version = 3.12.4\n")
    mapped = "7f0 r-xp 0 08:01 42  /venv/lib/python3.12/site-packages/httptools/parser.so\n"
    found = installation(
        [], executable="/usr/bin/python3.12", mapped=mapped, home=NOWHERE, root=tmp_path
    )
    assert (found.virtualenv, found.packages) == ("/venv", {"uvicorn": "0.54.0"})


def test_debians_own_packages(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/python3/dist-packages/gunicorn-20.1.0.egg-info").mkdir(parents=True)
    found = installation(
        ["/usr/bin/gunicorn"],
        executable="/usr/bin/python3.11",
        mapped="",
        home=NOWHERE,
        root=tmp_path,
    )
    assert (found.virtualenv, found.python, found.packages) == (
        None,
        "3.11",
        {"gunicorn": "20.1.0"},
    )


def test_a_users_own_packages_count_before_the_systems(tmp_path: Path) -> None:
    own_site = tmp_path / "home/shop/.local/lib/python3.11/site-packages"
    (own_site / "uvicorn-0.30.0.dist-info").mkdir(parents=True)
    (tmp_path / "usr/lib/python3/dist-packages/uvicorn-0.17.6.egg-info").mkdir(parents=True)
    found = installation(
        [], executable="/usr/bin/python3.11", mapped="", home=Path("/home/shop"), root=tmp_path
    )
    assert found.packages == {"uvicorn": "0.30.0"}


def test_the_systems_packages_are_not_a_virtual_environments(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/python3/dist-packages/uvicorn-0.17.6.egg-info").mkdir(parents=True)
    for cfg, packages in (
        ("version = 3.12.4\n", {}),
        ("version = 3.12.4\ninclude-system-site-packages = true\n", {"uvicorn": "0.17.6"}),
    ):
        make(tmp_path / "venv", cfg=cfg)
        found = installation(
            ["/venv/bin/uvicorn"],
            executable="/usr/bin/python3.12",
            mapped="",
            home=NOWHERE,
            root=tmp_path,
        )
        assert found.packages == packages


def test_nothing_to_be_seen(tmp_path: Path) -> None:
    found = installation([], executable=None, mapped="", home=NOWHERE, root=tmp_path)
    assert (found.virtualenv, found.python, found.packages) == (None, None, {})


def test_the_advisors_own() -> None:
    found = own()
    assert found.python == platform.python_version().rstrip("+")
    if sys.prefix != sys.base_prefix:
        assert found.virtualenv == sys.prefix
