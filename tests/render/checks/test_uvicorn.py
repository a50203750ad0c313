"""uvicorn.env held against the real Uvicorn: what passes, and what a damaged file says."""

from __future__ import annotations

import importlib
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from advisor.render.checks import variables
from tests.render.kit.servers import checked, failures, line_of, recommended
from tests.render.kit.test_uvicorn import ENV, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation
    from advisor.render import CheckResult

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon


def results(
    make: Make, old: str = "", new: str = "", values: dict[str, Any] = USUAL, **intent: Any
) -> list[CheckResult]:
    return checked(variables.uvicorn, recommended(make, "uvicorn", values, **intent), ENV, old, new)


@pytest.mark.parametrize(
    "intent",
    [{}, {"listen": "[::1]:8000", "proxy": "none"}, {"module": "served:create_app()"}],
)
def test_what_is_rendered_passes(make: Make, intent: dict[str, Any]) -> None:
    assert [result.status for result in results(make, **intent)] == ["passed"] * 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "UVICORN_BACKLOG",
            "UVICORN_BAKCLOG",
            "no variable UVICORN_BAKCLOG; did you mean UVICORN_B",
        ),
        ("UVICORN_WORKERS=2", "UVICORN_WORKERS=two", "'two' is not a valid integer"),
        ("UVICORN_WORKERS=2", "UVICORN_WORKERS=2.5", "not a valid integer"),
        ("UVICORN_WORKERS=2", "UVICORN_WORKERS=-2", "should not be below zero"),
        ("UVICORN_WORKERS=2", "UVICORN_WORKERS=", "UVICORN_WORKERS has no value"),
        ("UVICORN_WORKERS=2", "WEB_CONCURRENCY=2", "no variable WEB_CONCURRENCY"),
        ("UVICORN_WORKERS=2", 'UVICORN_WORKERS="2"', "one plain word"),
        ("UVICORN_WORKERS=2", "export UVICORN_WORKERS=2", "one plain word"),
        ("UVICORN_WORKERS=2", "UVICORN_BACKLOG=9", "UVICORN_BACKLOG is there twice"),
        ("UVICORN_LOOP=auto", "UVICORN_LOOP=uvlop", "uvlop"),
        ("UVICORN_HTTP=auto", "UVICORN_HTTP=http2", "http2"),
        ("UVICORN_WS=auto", "UVICORN_WS=wss", "wss"),
        ("UVICORN_WS=auto", "UVICORN_LOG_LEVEL=loud", "'loud' is not one of"),
    ],
)
def test_damage_is_caught_with_its_line(make: Make, old: str, new: str, said: str) -> None:
    lines = failures(results(make, old, new))
    stated = "UVICORN_BACKLOG" if "twice" in said else old
    number = line_of(recommended(make, "uvicorn", USUAL), ENV, stated)
    assert any(line.startswith(f"{ENV}:{number}: ") and said in line for line in lines), lines


def test_a_comment_that_runs_on_is_caught(make: Make) -> None:
    lines = failures(results(make, "\nUVICORN_WORKERS", "\n# why \\\nUVICORN_WORKERS"))
    assert any("as a part of this comment" in line for line in lines), lines


def test_another_minor_version_does_not_speak_for_the_target(make: Make) -> None:
    found = results(make, version="0.30.6")
    assert [result.status for result in found] == ["passed", "not_run"]
    assert "the target's is 0.30.6" in found[1].lines[0]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A virtual environment that has our Uvicorn, and no parser or loop in C."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in ("uvicorn", "click", "h11"):
        source = Path(importlib.import_module(name).__file__ or "").parent
        shutil.copytree(source, site / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin" / "uvicorn").write_text(f"#!{folder}/bin/python\n", encoding="utf-8")
    return folder


def test_what_is_not_installed_on_the_target_fails(make: Make, target: Path) -> None:
    found = results(make, values=USUAL | {"loop": "uvloop"}, **{"app.virtualenv": str(target)})
    assert [result.status for result in found] == ["passed", "passed", "failed"]
    assert "UVICORN_LOOP=uvloop: No module named 'uvloop'" in found[2].lines[0]


def test_what_is_not_installed_elsewhere_is_not_run(make: Make) -> None:
    """zttp, which this Uvicorn knows and this machine does not have."""
    found = results(make, "UVICORN_HTTP=auto", "UVICORN_HTTP=zttp")
    assert [result.status for result in found] == ["passed", "passed", "not_run"]
    assert "not the target's" in found[2].lines[0]


def test_nothing_is_imported_but_the_server(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "imported"
    for name in ("served", "uvicorn", "click"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("UVICORN_WORKERS", "many")
    assert failures(results(make)) == []
    assert not trace.exists()


def test_the_version_is_in_the_checks_name(make: Make) -> None:
    assert importlib.metadata.version("uvicorn") in results(make)[1].check
