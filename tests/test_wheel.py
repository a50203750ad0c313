"""The wheel, installed where nothing of the checkout is, renders what the checkout renders."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.daemon

CHECKOUT = Path(__file__).parents[1]
CASES = CHECKOUT / "tests" / "render" / "cases"


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


def render(advisor: Path, rec: Path, deploy: Path, *, directory: Path) -> str:
    done = subprocess.run(
        [advisor, "render", rec, "-o", deploy],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    return done.stdout.replace(str(deploy), "DEPLOY")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_wheel_carries_package_and_templates_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    templates = {
        f"advisor/templates/{path.relative_to(CHECKOUT / 'templates')}"
        for path in (CHECKOUT / "templates").rglob("*.j2")
    }
    assert templates
    assert templates <= set(names)
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
