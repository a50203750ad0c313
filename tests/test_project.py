"""What the project says of itself is true: README, Makefile, constraints, pre-commit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from advisor.demo.processes import free_port, program, running
from advisor.intent import Intent

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())


def blocks(mark: str) -> list[str]:
    """The code blocks that follow `<!-- mark -->`."""
    return re.findall(rf"<!-- {re.escape(mark)} -->\n```\w*\n(.*?)```", README, re.DOTALL)


@pytest.mark.daemon
def test_the_readmes_commands_run(tmp_path: Path) -> None:
    (example,) = blocks("advisor.yml")
    (tmp_path / "advisor.yml").write_text(example)
    port = free_port()
    url = f"http://127.0.0.1:{port}/items"
    server = [program("uvicorn"), "advisor.demo.async_app:app", "--port", str(port)]
    lines = "".join(blocks("commands")).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    with running(server, url=url, log=tmp_path / "log"):
        for line in lines.splitlines():
            command = line.removeprefix("$ ")
            evaluated = command.startswith("eval")
            done = subprocess.run(
                ["sh", "-ec", f"{command}; env" if evaluated else command],
                cwd=tmp_path,
                env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert ("WEB_CONCURRENCY=" in done.stdout) if evaluated else done.stdout
    assert (tmp_path / "deploy" / "gunicorn" / "gunicorn.conf.py").exists()


def test_the_readmes_advisor_yml_is_valid() -> None:
    (example,) = blocks("advisor.yml")
    assert Intent.model_validate(yaml.safe_load(example)).app.name == "shop"


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_on_the_first_screen_and_exist(target: str) -> None:
    first = "\n".join(README.splitlines()[:24])
    assert f"make {target}" in first
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0


def test_constraints_hold_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)


def test_every_dependency_is_constrained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(each for extra in project["project"]["optional-dependencies"].values() for each in extra),
        *project["dependency-groups"]["dev"],
    ]
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in PINS}
    for requirement in wanted:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert name
        assert re.sub(r"[-_.]+", "-", name[0]).lower() in known, requirement


def test_pre_commit_has_the_constrained_versions() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for repo in config["repos"]:
        for hook in repo["hooks"]:
            for pinned in hook["additional_dependencies"]:
                name, version = pinned.split("==")
                assert PINS[name] == version


def test_nobody_is_told_to_install_somebody_elses_package() -> None:
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        assert "pip install advisor" not in path.read_text()
