"""The hook for others' repositories, run by the real pre-commit on a clone of this one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from advisor.render.kit import COMPONENTS
from advisor.render.rendering import RECOMMENDATION_PATH
from advisor.render.tree import MANIFEST_PATH

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
# What the wheel is built from.
SOURCES = (
    "advisor",
    "templates",
    "playbooks",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".pre-commit-hooks.yaml",
)
CASE = ROOT / "tests" / "render" / "cases" / "asgi" / "recommendation.yml"
BIN = Path(sys.executable).parent
# Nothing is fetched: the hook's environment gets our package alone, and its dependencies are
# those here. pip's --no-build-isolation is spelt as the value that the option stores.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",
    "PYTHONPATH": sysconfig.get_path("purelib"),
}
GIT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "test@localhost" for who in ("AUTHOR", "COMMITTER")},
}


def folders() -> Iterator[str]:
    for component in COMPONENTS:
        for output in component.outputs:
            yield re.sub(r"\{[a-z]+\}", "shop", output.path)


@pytest.mark.parametrize("path", [*folders(), MANIFEST_PATH, RECOMMENDATION_PATH, "advisor.yml"])
def test_the_hook_runs_when_a_tree_or_advisor_yml_changes(path: str) -> None:
    for before in ("", "deploy/", "infra/deploy/hosts/web1/"):
        assert re.search(HOOK["files"], f"{before}{path}")


@pytest.mark.parametrize("path", ["README.md", "shop/main.py", "docs/advisor.yml.md", "nginxes/a"])
def test_the_hook_leaves_other_changes_alone(path: str) -> None:
    assert not re.search(HOOK["files"], path)


def run(*arguments: str | Path, directory: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        arguments,
        cwd=directory,
        env=environment
        | GIT
        | OFFLINE
        | {"PRE_COMMIT_HOME": str(home), "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def commit(folder: Path, home: Path) -> str:
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "a state")):
        done = run("git", *words, directory=folder, home=home)
        assert done.returncode == 0, done.stderr
    return run("git", "rev-parse", "HEAD", directory=folder, home=home).stdout.strip()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory, home: Path) -> tuple[Path, str]:
    """A repository that holds what this checkout has now, and its commit."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        else:
            shutil.copyfile(source, folder / name)
    return folder, commit(folder, home)


@pytest.fixture
def repository(tmp_path: Path, home: Path) -> Path:
    """Somebody's repository with a tree in deploy/."""
    folder = tmp_path / "repository"
    folder.mkdir()
    data = yaml.safe_load(CASE.read_text())
    # Versions that are not here: what the daemons say is not this test's.
    data["components"] = {name: {"version": "0.1"} for name in ("gunicorn", "nginx", "systemd")}
    (folder / "rec.yml").write_text(yaml.safe_dump(data))
    done = run(BIN / "advisor", "render", "rec.yml", "-o", "deploy", directory=folder, home=home)
    assert done.returncode == 0, done.stderr
    commit(folder, home)
    return folder


@pytest.mark.daemon
def test_pre_commit_runs_it(hooks: tuple[Path, str], repository: Path, home: Path) -> None:
    source, rev = hooks
    words = (BIN / "pre-commit", "try-repo", source, HOOK["id"], "--all-files", "--verbose")
    well = run(*words, directory=repository, home=home)
    assert well.returncode == 0, well.stdout + well.stderr
    assert "Passed" in well.stdout
    assert "as rendered" in well.stdout
    conf = repository / "deploy" / "nginx" / "shop.conf"
    line = conf.read_text().count("\n") + 1
    with conf.open("a") as stream:
        stream.write("# a note\n")
    (repository / "advisor.yml").write_text("app: {module: shop.main:app}\n")
    hook = {"id": HOOK["id"], "args": ["deploy", "--config", "advisor.yml"]}
    config = {"repos": [{"repo": str(source), "rev": rev, "hooks": [hook]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    commit(repository, home)
    broken = run(BIN / "pre-commit", "run", "--all-files", directory=repository, home=home)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    assert f"deploy/nginx/shop.conf:{line}: hand-edit: " in broken.stdout
    assert "stale-input: domain: " in broken.stdout
