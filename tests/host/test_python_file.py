from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import python_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "known", "computed"),
    [
        ("workers = 4", {"workers": 4}, set()),
        ("workers: int = 4", {"workers": 4}, set()),
        ("workers = threads = 4", {"workers": 4, "threads": 4}, set()),
        ("bind = ['a:1', 'b:2']", {"bind": "a:1,b:2"}, set()),
        ("timeout = -1", {"timeout": -1}, set()),
        ("preload_app = True", {"preload_app": True}, set()),
        ("workers = cpu_count() * 2 + 1", {}, {"workers"}),
        ("workers = 4\nworkers = f()", {}, {"workers"}),
        ("workers = f()\nworkers = 4", {"workers": 4}, set()),
        ("workers = 4\nif x:\n    workers = 8", {}, {"workers"}),
        ("workers = 4\nworkers += 1", {}, {"workers"}),
        ("workers, threads = 1, 2", {}, {"workers", "threads"}),
        ("from base import workers", {}, {"workers"}),
        ("from base import *\nworkers = 4", {"workers": 4}, {"*"}),
        ("import os as threads", {}, {"threads"}),
        ("for workers in range(3): pass", {}, {"workers"}),
        ("if (threads := 3): pass", {}, {"threads"}),
        ("def on_starting(server):\n    workers = 4", {}, set()),
        ("class A:\n    workers = 4", {}, set()),
        ("wsgi_app = 'shop:app'", {"wsgi_app": "shop:app"}, set()),
        ("raw_env = ['KEY=hunter2']\nanything = 1", {}, set()),
        ("timeout = 1e999", {"timeout": "inf"}, set()),
        ("x = '\\d'", {}, set()),
        ("", {}, set()),
    ],
)
def test_constants_are_read_and_the_rest_is_named(
    source: str, known: dict[str, Any], computed: set[str]
) -> None:
    assert python_file.constants(source) == (known, frozenset(computed))


def test_nothing_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    python_file.constants(f"workers = open({str(trace)!r}, 'w').write('x')")
    assert not trace.exists()


@given(st.text() | st.binary())
def test_any_file_is_read_or_refused(source: str | bytes) -> None:
    with contextlib.suppress(SyntaxError, ValueError):
        python_file.constants(source)
