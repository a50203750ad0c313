from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.daemon

CASE = Path(__file__).parents[1] / "render" / "cases" / "asgi" / "recommendation.yml"
ADVISOR = Path(sys.executable).with_name("advisor")


def advisor(*arguments: str | Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"PATH": path} if path else {})
    return subprocess.run(
        [ADVISOR, *arguments], capture_output=True, text=True, check=False, env=environment
    )


@pytest.fixture
def rec(tmp_path: Path) -> Callable[..., Path]:
    """The asgi case, of no particular daemon's version, after a change of its data."""

    def write(change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
        data = yaml.safe_load(CASE.read_text())
        data["components"] = {}
        change(data)
        path = tmp_path / "rec.yml"
        path.write_text(yaml.safe_dump(data, sort_keys=False))
        return path

    return write


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_files_are_written_and_each_says_what_checked_it(
    rec: Callable[..., Path], tmp_path: Path
) -> None:
    done = advisor("render", rec(), "-o", tmp_path / "deploy")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(tree(tmp_path / "deploy")) == {
        "gunicorn/gunicorn.conf.py",
        "nginx/shop.conf",
        "systemd/shop.service",
        "systemd/shop.socket",
        "systemd/sysusers.conf",
        "environment/app.env",
        ".advisor/install.json",
        ".advisor/manifest",
        ".advisor/recommendation.yml",
    }
    for word in ("gunicorn.conf.py: written", "--check-config", "nginx ", "systemd-analyze "):
        assert word in done.stdout
    assert "\x1b" not in done.stdout
    again = advisor("render", rec(), "-o", tmp_path / "deploy")
    assert again.returncode == 0
    assert ": written" not in again.stdout


def test_json_names_files_and_checks(rec: Callable[..., Path], tmp_path: Path) -> None:
    done = advisor("render", rec(), "-o", tmp_path / "deploy", "--json")
    data = json.loads(done.stdout)
    assert {file["state"] for file in data["files"]} == {"written"}
    assert {found["status"] for found in data["checks"]} == {"passed"}


def test_the_recommendation_in_the_tree_renders_the_same_tree(
    rec: Callable[..., Path], tmp_path: Path
) -> None:
    advisor("render", rec(), "-o", tmp_path / "one")
    kept = tmp_path / "one" / ".advisor" / "recommendation.yml"
    assert advisor("render", kept, "-o", tmp_path / "two").returncode == 0
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("domain", lambda data: data["intent"]["domain"].update(value="a;b")),
        ("app.name", lambda data: data["app"].update(name="shop\nUser=root")),
        ("gunicorn.wrokers", lambda data: data["settings"][0].update(id="gunicorn.wrokers")),
        ("settings[0].value", lambda data: data["settings"][0].update(value={"a": 1})),
        ("schema", lambda data: data.update(schema="advisor/facts/1")),
        ("extra: unknown key", lambda data: data.update(extra=1)),
    ],
)
def test_bad_input_names_its_field_and_writes_nothing(
    rec: Callable[..., Path], tmp_path: Path, field: str, change: Callable[[dict[str, Any]], object]
) -> None:
    done = advisor("render", rec(change), "-o", tmp_path / "deploy")
    assert done.returncode == 2
    assert field in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "deploy").exists()


def test_files_in_the_way_are_named_and_left(rec: Callable[..., Path], tmp_path: Path) -> None:
    foreign = tmp_path / "deploy" / "nginx" / "shop.conf"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("theirs")
    done = advisor("render", rec(), "-o", tmp_path / "deploy")
    assert done.returncode == 2
    assert "nginx/shop.conf: not ours" in done.stderr
    assert tree(tmp_path / "deploy") == {"nginx/shop.conf": b"theirs"}
    assert advisor("render", rec(), "-o", tmp_path / "deploy", "--overwrite").returncode == 0
    assert foreign.read_text() != "theirs"


def test_an_output_that_is_a_file_is_refused(rec: Callable[..., Path]) -> None:
    path = rec()
    done = advisor("render", path, "-o", path)
    assert done.returncode == 2
    assert "is a file, not a folder" in done.stderr


def test_a_missing_recommendation_is_named(tmp_path: Path) -> None:
    done = advisor("render", tmp_path / "none.yml", "-o", tmp_path / "deploy")
    assert done.returncode == 2
    assert "none.yml: No such file" in done.stderr


def test_a_failed_check_writes_nothing_and_names_the_line(
    rec: Callable[..., Path], tmp_path: Path
) -> None:
    def misspell(data: dict[str, Any]) -> None:
        (one,) = [s for s in data["settings"] if s["id"] == "gunicorn.worker_class"]
        one["value"] = "uvicorn_worker.UvicronWorker"

    done = advisor("render", rec(misspell), "-o", tmp_path / "deploy")
    assert done.returncode == 1
    assert "gunicorn/gunicorn.conf.py:10: worker_class" in done.stderr
    assert "UvicronWorker" in done.stderr
    assert not (tmp_path / "deploy").exists()


def test_what_could_not_run_is_a_warning_and_strict_makes_it_a_failure(
    rec: Callable[..., Path], tmp_path: Path
) -> None:
    old = rec(lambda data: data.update(components={"nginx": {"version": "1.14.2"}}))
    done = advisor("render", old, "-o", tmp_path / "deploy")
    assert done.returncode == 0
    assert "warning: nginx/shop.conf" in done.stderr
    assert "not run  nginx" in done.stdout
    strict = advisor("render", old, "-o", tmp_path / "strict", "--strict")
    assert strict.returncode == 1
    assert not (tmp_path / "strict").exists()


def test_checkers_are_found_without_sbin_on_the_path(
    rec: Callable[..., Path], tmp_path: Path
) -> None:
    done = advisor("render", rec(), "-o", tmp_path / "deploy", path="/usr/bin:/bin")
    assert done.returncode == 0
    assert "not run" not in done.stdout
