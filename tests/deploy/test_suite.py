"""Checks of `advisor verify`, one by one, of hosts as they are hard to come by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from advisor.deploy.suite import test_drift as drift
from advisor.deploy.suite import test_gunicorn as gunicorn
from advisor.deploy.suite.items import readers
from advisor.deploy.suite.tree import Tree, tree_of
from tests.deploy.trees import rendered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAILED, NOT_RUN = pytest.fail.Exception, pytest.skip.Exception
OURS = "/etc/advisor/current/shop/gunicorn/gunicorn.conf.py"
EXEC_START = "{{ path=/srv/gunicorn ; argv[]=/srv/gunicorn -c {path} m:app ; ignore_errors=no }}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    folder: Path = tmp_path_factory.mktemp("suite")
    found = tree_of(rendered(folder / "deploy"), "web1", ["app"])
    assert found is not None
    return found


def how(check: Callable[..., None], host: dict[str, Any], *words: Any) -> str:
    """How a check of such a host ends."""
    live: Any = SimpleNamespace(**host)
    try:
        check(live, *words)
    except FAILED as failed:
        return f"failed: {failed}"
    except NOT_RUN as skipped:
        return f"not run: {skipped}"
    return "held"


def master(command: list[str], path: str = OURS) -> dict[str, Any]:
    """A host whose Gunicorn's command line reads so, and whose systemd would start another."""
    return {
        "main_pid": lambda _: 7,
        "commands": lambda pids: dict.fromkeys(pids, command) if command else {},
        "unit": lambda _: {"ExecStart": EXEC_START.format(path=path)},
        "variables": lambda _: frozenset({"PATH"}),
    }


@pytest.mark.parametrize(
    ("command", "path", "end"),
    [
        (["/srv/gunicorn", "-c", OURS], "/etc/mine.py", "held"),
        (["/srv/gunicorn", "-c", "/etc/mine.py"], OURS, "failed"),
        # What setproctitle leaves of a command line.
        (["gunicorn: master [shop]", ""], OURS, "held"),
        (["gunicorn: master [shop]", ""], "/etc/mine.py", "failed"),
        ([], OURS, "not run"),
    ],
)
def test_whether_gunicorn_reads_our_file(
    tree: Tree, command: list[str], path: str, end: str
) -> None:
    host = master(command, path)
    assert how(gunicorn.test_reads_our_file, host, tree, "gunicorn").partition(":")[0] == end


@pytest.mark.parametrize("who", ["main", "children", "socket"])
def test_without_a_process_nothing_is_younger_than_its_file(tree: Tree, who: str) -> None:
    (reader, *_) = [one for one in readers(tree) if one.who == who]
    nobody = {
        "installed": {reader.row.target: {"written": "1000"}},
        "main_pid": lambda _: 7,
        "processes": {},
        "children": lambda _: [],
        "commands": lambda _: {},
        "unit": lambda _: {},
        "booted": 0.0,
    }
    assert how(drift.test_is_read_since, nobody, reader).startswith("not run: no process")


@pytest.mark.parametrize(
    ("operation", "end"),
    [
        (None, "held"),
        ({"state": "committed", "reason": None}, "held"),
        ({"state": "return_failed", "reason": {"message": "nginx -t"}}, "failed: a return failed"),
    ],
)
def test_a_return_that_failed_is_said(operation: dict[str, Any] | None, end: str) -> None:
    found = how(drift.test_is_not_half_taken_back, {"status": {"operation": operation}}, "shop")
    assert found.startswith(end)
