"""The lines of the design: who may import whom, how long a file may be, examples that run."""

from __future__ import annotations

import ast
import doctest
import sys
from importlib import import_module
from pathlib import Path

import pytest

import advisor

PACKAGE = Path(advisor.__file__).parent
# `__init__` holds the version.
GROUND = {"documents", "errors", "intent", "quantities", "__init__"}
# A part of the package and the parts it may import, itself aside. Ground for everybody.
LINES: dict[str, set[str]] = {
    "documents": set(),
    "errors": set(),
    "quantities": set(),
    "intent": {"documents"},
    "faults": GROUND,
    "files": GROUND | {"faults"},
    "model": GROUND,
    "rules": GROUND | {"model"},
    "host": GROUND | {"files"},
    "probe": GROUND | {"files", "host"},
    "resolve": GROUND | {"model"},
    "evidence": GROUND | {"model", "rules"},
    "selection": GROUND,
    "guards": GROUND,
    "planning": GROUND | {"model", "rules", "resolve", "evidence", "guards"},
    "known": GROUND | {"model", "rules", "evidence"},
    "recommend": GROUND | {"model", "rules", "resolve", "evidence", "known", "planning", "guards"},
    "render": GROUND | {"faults", "files", "model", "rules"},
    "deploy": GROUND | {"faults", "files", "host", "render"},
    "report": GROUND,
}
# The rest stands on everything: the verbs, and what they run.
ABOVE = {"cli", "demo", "__init__", "__main__"}
# Modules that must not touch the outside.
PURE = (
    "model",
    "rules",
    "resolve",
    "evidence",
    "known",
    "planning",
    "selection",
    "guards",
    "recommend",
    "quantities",
)
OUTSIDE = {"os", "subprocess", "socket", "psutil", "httpx", "time", "pathlib", "shutil", "random"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The dotted names of the modules that a file imports, for typing too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def parts_imported(path: Path) -> set[str]:
    ours = (name.split(".") for name in imports(path) if name.startswith("advisor."))
    parts = {name[1] for name in ours}
    return {part if (PACKAGE / part).is_dir() or _is_file(part) else "__init__" for part in parts}


def _is_file(part: str) -> bool:
    return (PACKAGE / f"{part}.py").is_file()


def test_every_part_has_its_line() -> None:
    assert {part_of(path) for path in MODULES} <= set(LINES) | ABOVE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    part = part_of(path)
    if part in ABOVE:
        assert "cli" not in parts_imported(path) or part in {"cli", "__main__"}
        return
    assert parts_imported(path) <= LINES[part] | {part}


@pytest.mark.parametrize("part", PURE)
def test_a_pure_part_touches_nothing_outside(part: str) -> None:
    for path in MODULES:
        if part_of(path) == part:
            assert not {name.partition(".")[0] for name in imports(path)} & OUTSIDE, path


def test_the_model_needs_only_the_standard_library() -> None:
    for path in MODULES:
        if part_of(path) == "model":
            tops = {name.partition(".")[0] for name in imports(path)}
            assert tops <= set(sys.stdlib_module_names) | {"advisor"}, path


def test_the_switch_needs_only_the_standard_library_and_itself() -> None:
    """It goes to the target as one file: what it imports otherwise is not there."""
    modules = sorted((PACKAGE / "deploy" / "switch").rglob("*.py"))
    assert modules
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                tops = {alias.name.partition(".")[0] for alias in node.names}
                assert tops <= set(sys.stdlib_module_names), path
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").partition(".")[0] in sys.stdlib_module_names, path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1, path


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_stays_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


WITH_EXAMPLES = [path for path in MODULES if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_in_docstrings_are_true(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    outcome = doctest.testmod(import_module(name.removesuffix(".__init__")))
    assert outcome.attempted
    assert outcome.failed == 0
