"""The wheel, installed where nothing of the checkout is, does all that the checkout does."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.daemon

CHECKOUT = Path(__file__).parents[1]
CASES = CHECKOUT / "tests" / "render" / "cases"
FACTS = CHECKOUT / "tests" / "examples" / "facts.json"
EXAMPLES = sorted(path.name for path in (CHECKOUT / "templates" / "examples").iterdir())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*build, CHECKOUT], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; only the dependencies come from this one.

    A .pth makes our site-packages importable, but is not read for further .pth files, so that
    the editable install of the checkout stays out.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*install, "--no-index", "--no-deps", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def run(advisor: Path, *arguments: str | Path, directory: Path) -> str:
    done = subprocess.run(
        [advisor, *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(advisor: Path, rec: Path, deploy: Path, *, directory: Path) -> str:
    said = run(advisor, "render", rec, "-o", deploy, directory=directory)
    return said.replace(str(deploy), "DEPLOY")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_wheel_carries_package_templates_and_plays_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("templates", "playbooks"):
        carried = {
            f"advisor/{path.relative_to(CHECKOUT)}"
            for path in (CHECKOUT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        assert carried
        assert carried <= set(names)
    assert "advisor/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"advisor"}


def test_the_package_is_the_wheels(installed: Path) -> None:
    told = subprocess.run(
        [installed / "bin" / "python", "-I", "-c", "import advisor; print(advisor.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(told.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_it_renders_as_the_checkout_does(installed: Path, tmp_path: Path, case: str) -> None:
    rec = CASES / case / "recommendation.yml"
    ours = Path(sys.executable).with_name("advisor")
    theirs = installed / "bin" / "advisor"
    said = render(ours, rec, tmp_path / "checkout", directory=CHECKOUT)
    assert render(theirs, rec, tmp_path / "wheel", directory=tmp_path) == said
    assert tree(tmp_path / "checkout") == tree(tmp_path / "wheel") != {}
    assert tree(tmp_path / "wheel") == tree(CASES / case / "expected")


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host whose daemons are of versions that are not here: none is started, to be quick."""
    data = json.loads(FACTS.read_text())
    data["components"] = {name: {"version": "99.0"} for name in [*data["components"], "caddy"]}
    path = tmp_path_factory.mktemp("facts") / "facts.json"
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize("example", EXAMPLES)
def test_from_advisor_yml_to_checked_files_it_does_as_the_checkout_does(
    installed: Path, facts: Path, tmp_path: Path, example: str
) -> None:
    (shipped,) = installed.glob("lib/python*/site-packages/advisor/templates/examples")
    config = shipped / example
    assert config.read_bytes() == (CHECKOUT / "templates" / "examples" / example).read_bytes()
    ours, theirs = Path(sys.executable).with_name("advisor"), installed / "bin" / "advisor"
    for name, advisor in (("checkout", ours), ("wheel", theirs)):
        folder = tmp_path / name
        folder.mkdir()
        made = ("--config", config, "--facts", facts, "-o", "rec.yml")
        run(advisor, "recommend", *made, directory=folder)
        run(advisor, "render", "rec.yml", "-o", "deploy", directory=folder)
        said = run(advisor, "check", "deploy", "--config", config, directory=folder)
        assert "as rendered" in said
    assert tree(tmp_path / "checkout") == tree(tmp_path / "wheel") != {}
