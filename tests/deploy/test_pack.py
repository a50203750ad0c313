"""The switch as one file: the same bytes, and it runs alone."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.deploy import pack

MODULES = sorted(pack.SOURCES.rglob("*.py"))


def test_it_is_the_same_for_the_same_sources_wherever_and_whenever(tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    shutil.copytree(pack.SOURCES, there, ignore=shutil.ignore_patterns("__pycache__"))
    for path in there.rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o600)
    assert pack.pack(there) == pack.pack()


def test_it_changes_with_them(tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    shutil.copytree(pack.SOURCES, there)
    (there / "layout.py").write_text("# other\n")
    assert pack.pack(there) != pack.pack()


def test_it_runs_alone_and_answers_in_json(tmp_path: Path) -> None:
    program = tmp_path / "switch.pyz"
    program.write_bytes(pack.pack())
    command = [sys.executable, "-I", str(program), "--root", str(tmp_path / "host"), "status"]
    done = subprocess.run(command, capture_output=True, cwd="/", env={}, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert b'"current": null' in done.stdout


def test_a_playbook_loads_it_by_its_path_alone() -> None:
    tops = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(Path(pack.__file__).read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert tops <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_is_in_the_grammar_of_the_oldest_python_that_runs_it(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
