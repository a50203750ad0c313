from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.documents import Component
from advisor.host.installation import components_of, installation, own

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


@pytest.mark.parametrize(
    ("mapped", "loaded"),
    [
        ("asyncpg", {"asyncpg": True, "sqlalchemy": False}),
        ("sqlalchemy", {"asyncpg": False, "sqlalchemy": True}),
        ("other", {"asyncpg": False, "sqlalchemy": False}),
        (None, {}),
    ],
)
def test_which_library_a_process_has_loaded(
    mapped: str | None, loaded: dict[str, bool], tmp_path: Path
) -> None:
    versions = ("asyncpg-0.30.0.dist-info", "sqlalchemy-2.0.44.dist-info")
    make(tmp_path / "venv", *versions, "asyncpg/protocol", "sqlalchemy/engine", cfg="")
    site = tmp_path / "venv/lib/python3.12/site-packages"
    for module in ("asyncpg/protocol/record.so", "sqlalchemy/engine/_row_cy.so"):
        (site / module).touch()
    found = installation(
        ["/venv/bin/gunicorn"],
        executable=None,
        mapped="",
        serving=f"7f0 r-xp 0 08:01 42  /venv/lib/python3.12/site-packages/{mapped}/x.so\n"
        if mapped
        else "",
        home=NOWHERE,
        root=tmp_path,
    )
    assert found.loaded == loaded
    assert components_of(found)["asyncpg"].loaded == loaded.get("asyncpg")


def test_a_library_without_compiled_modules_may_be_loaded(tmp_path: Path) -> None:
    make(tmp_path / "venv", "sqlalchemy-2.0.44.dist-info", "sqlalchemy/engine", cfg="")
    mapped = "7f0 r-xp 0 08:01 42  /venv/lib/python3.12/site-packages/httptools/parser.so\n"
    found = installation(
        ["/venv/bin/gunicorn"],
        executable=None,
        mapped="",
        serving=mapped,
        home=NOWHERE,
        root=tmp_path,
    )
    assert found.loaded == {}


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


@pytest.mark.parametrize(
    ("library", "executable", "free"),
    [
        ("python3.13t", "/usr/bin/python3.13t", True),
        # Its own name may be without the t, its library never is.
        ("python3.13t", "/usr/bin/python3.13", True),
        ("python3.13", "/usr/bin/python3.13", False),
        ("python3.13t", None, True),
    ],
)
def test_a_free_threaded_build_is_told_from_the_others(
    library: str, executable: str | None, free: bool, tmp_path: Path
) -> None:
    cfg = "version = 3.13.1\n"
    make(tmp_path / "venv", "granian-2.8.1.dist-info", library=library, cfg=cfg)
    found = installation(
        ["/venv/bin/granian"], executable=executable, mapped="", home=NOWHERE, root=tmp_path
    )
    assert (found.free_threaded, found.python) == (free, "3.13.1")
    assert found.packages == {"granian": "2.8.1"}
    modules = ["free-threaded"] if free else []
    assert components_of(found) == {
        "python": Component(version="3.13.1", modules=modules),
        "granian": Component(version="2.8.1"),
    }


@pytest.mark.parametrize(
    ("name", "free", "packages"),
    [
        ("python3.13t", True, {"granian": "2.8.1", "flask": "3.1.3"}),
        ("python3.13", False, {"granian": "2.0.0"}),
    ],
)
def test_builds_under_one_prefix_have_packages_of_their_own(
    name: str, free: bool, packages: dict[str, str], tmp_path: Path
) -> None:
    make(tmp_path / "usr", "granian-2.8.1.dist-info", library="python3.13t")
    make(tmp_path / "usr", "granian-2.0.0.dist-info", library="python3.13")
    make(tmp_path / "home/shop/.local", "flask-3.1.3.dist-info", library="python3.13t")
    found = installation(
        [], executable=f"/usr/bin/{name}", mapped="", home=Path("/home/shop"), root=tmp_path
    )
    assert (found.python, found.free_threaded, found.packages) == ("3.13", free, packages)


def test_another_pythons_packages_beside_it_are_not_its_own(tmp_path: Path) -> None:
    make(tmp_path / "usr/local", "uvicorn-0.54.0.dist-info", library="python3.13")
    make(tmp_path / "usr/local", "uvicorn-0.30.0.dist-info", library="python3.11")
    found = installation(
        [], executable="/usr/local/bin/python3.11", mapped="", home=NOWHERE, root=tmp_path
    )
    assert (found.python, found.packages) == ("3.11", {"uvicorn": "0.30.0"})


def test_libraries_are_named_as_rules_know_them(tmp_path: Path) -> None:
    # A client of Redis has another version than the server that components call redis.
    make(
        tmp_path / "venv",
        *("redis-6.4.0.dist-info", "SQLAlchemy-2.0.44.dist-info", "Django-5.2.8.dist-info"),
        *("psycopg2_binary-2.9.11.dist-info", "psycopg-3.2.12.dist-info", "numpy-2.3.4.dist-info"),
        cfg="version = 3.12.4\n",
    )
    found = installation(
        ["/venv/bin/gunicorn"], executable=None, mapped="", home=NOWHERE, root=tmp_path
    )
    assert found.packages == {
        "redis-py": "6.4.0",
        "sqlalchemy": "2.0.44",
        "django": "5.2.8",
        "psycopg2": "2.9.11",
        "psycopg": "3.2.12",
    }


def test_the_advisors_own_libraries_say_nothing_of_an_app() -> None:
    assert not set(own().packages) & {"redis-py", "httpx", "anyio", "fastapi", "flask"}
    assert own().packages["uvloop"]


def test_names_that_somebody_made_up_are_no_versions(tmp_path: Path) -> None:
    make(
        tmp_path / "venv",
        "uvicorn-0.54\x1b[31m.dist-info",
        "gunicorn-27 0.dist-info",
        "granian-2.8.1+local.dist-info",
        cfg="version = 3.12.4\x1b[2J\n",
    )
    found = installation(
        ["/venv/bin/gunicorn"], executable=None, mapped="", home=NOWHERE, root=tmp_path
    )
    assert (found.python, found.packages) == ("3.12.4", {"granian": "2.8.1+local"})


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=40))
def test_a_folder_of_any_name_is_a_version_or_nothing(name: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        make(root / "venv", f"uvicorn-{name}.dist-info", cfg="version = 3.12.4\n")
        found = installation(
            ["/venv/bin/uvicorn"], executable=None, mapped="", home=NOWHERE, root=root
        )
    version = found.packages.get("uvicorn")
    assert version is None or re.fullmatch(r"[0-9][A-Za-z0-9.+!_]*", version)
