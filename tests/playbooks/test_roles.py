"""The plays and roles as others use them: linted, specified, prefixed, named in full."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from advisor.deploy.parcel import NEEDS
from advisor.render.kit import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks"
ROLES = sorted(path.name for path in (PLAYBOOKS / "roles").iterdir())
# Those that bring a daemon and its part of a tree.
PARTS = sorted({role for role, _ in NEEDS.values()} | {"load_balancer"})
PLAYS = sorted(path.name for path in PLAYBOOKS.glob("*.yml"))
BIN = Path(sys.executable).parent


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """All tasks of a parsed file, those of blocks too."""
    for task in node or []:
        if "block" in task:
            for part in ("block", "rescue", "always"):
                yield from tasks(task.get(part))
        else:
            yield task


def of_role(role: str, part: str) -> list[dict[str, Any]]:
    folder = PLAYBOOKS / "roles" / role / part
    return [
        task
        for path in sorted(folder.glob("*.yml"))
        for task in tasks(yaml.safe_load(path.read_text()))
    ]


def test_the_roles_of_the_contract_are_there() -> None:
    assert set(PARTS) == {
        "app_service",
        "proxy_nginx",
        "proxy_caddy",
        "cache_redis",
        "host_sysctl",
        "load_balancer",
        "workers",
        "monitoring",
    }
    assert set(PARTS) | {"generation"} <= set(ROLES)


@pytest.mark.parametrize("role", [*PARTS, "generation"])
def test_each_role_says_what_it_takes(role: str) -> None:
    folder = PLAYBOOKS / "roles" / role
    specs = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    assert set(defaults) <= set(options)
    assert all(name.startswith("advisor_") for name in options)
    for name, option in options.items():
        assert option["description"], name
        if "default" in option:
            assert defaults[name] == option["default"], name


@pytest.mark.parametrize("role", [*PARTS, "generation"])
def test_every_variable_of_a_role_is_prefixed(role: str) -> None:
    for task in of_role(role, "tasks"):
        names = [task.get("register"), (task.get("loop_control") or {}).get("loop_var")]
        names += [*(task.get("vars") or {}), *(task.get("ansible.builtin.set_fact") or {})]
        assert all(name.startswith("advisor_") for name in names if name), task["name"]


@pytest.mark.parametrize("role", PARTS)
def test_a_role_brings_its_folders_and_no_others(role: str) -> None:
    folders = {each.path.partition("/")[0] for one in COMPONENTS for each in one.outputs}
    mine = {folder for folder, (name, _) in NEEDS.items() if name == role} or {role}
    for task in of_role(role, "tasks"):
        if "ansible.builtin.include_role" in task:
            assert set(task["vars"]["advisor_components"]) == mine & folders


@pytest.mark.parametrize("role", PARTS)
def test_a_role_installs_by_one_task_and_only_what_is_missing(role: str) -> None:
    (task,) = [each for each in of_role(role, "tasks") if "ansible.builtin.apt" in each]
    assert task["become"] is True
    assert f"'{role}' in advisor_seen.advisor.missing" in task["when"]


@pytest.mark.parametrize("role", [*PARTS, "generation"])
def test_modules_are_named_in_full(role: str) -> None:
    words = {"name", "when", "register", "loop", "loop_control", "vars", "tags", "become"}
    words |= {"ignore_unreachable", "delegate_to", "any_errors_fatal", "no_log", "check_mode"}
    for task in of_role(role, "tasks"):
        (module,) = set(task) - words
        assert module.startswith("ansible.builtin.") or module == "advisor_switch", module


def test_become_is_asked_for_by_the_tasks_that_need_it() -> None:
    for path in PLAYBOOKS.glob("*.yml"):
        for play in yaml.safe_load(path.read_text()):
            assert "become" not in play, path


def test_nothing_of_a_tree_is_templated() -> None:
    """Rendered bytes go through the action plugin: no task copies or templates a file."""
    for role in ROLES:
        for task in of_role(role, "tasks"):
            assert not {"ansible.builtin.template", "ansible.builtin.copy"} & set(task)


def test_no_play_names_a_place_or_a_host_of_ours() -> None:
    for path in PLAYBOOKS.rglob("*"):
        if path.is_file() and path.suffix in {".py", ".yml"}:
            assert not re.search(r"/work\b|/tmp/", path.read_text()), path


@pytest.mark.daemon
@pytest.mark.parametrize("play", PLAYS)
def test_its_syntax_is_ansibles(play: str, not_run: Callable[[str], NoReturn]) -> None:
    program = shutil.which("ansible-playbook", path=f"{BIN}:{os.environ['PATH']}")
    if program is None:
        not_run("ansible is not installed")
    done = subprocess.run(
        [program, "--syntax-check", "-i", "web1,", PLAYBOOKS / play],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.daemon
def test_ansible_lint_has_nothing_to_say(not_run: Callable[[str], NoReturn]) -> None:
    program = shutil.which("ansible-lint", path=f"{BIN}:{os.environ['PATH']}")
    if program is None:
        not_run("ansible-lint is not installed")
    done = subprocess.run(
        [program, "--offline", "--profile", "production", "--strict", "--nocolor", "playbooks"],
        cwd=ROOT,
        env=dict(os.environ) | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
