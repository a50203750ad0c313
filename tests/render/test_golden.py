"""Every byte of three recommendations' files.

After a wanted change: `advisor render CASE/recommendation.yml -o CASE/expected --overwrite`,
and read the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.documents import Recommendation
from advisor.files import read
from advisor.render import render

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_the_files_are_those_reviewed(case: str) -> None:
    rec = read(Recommendation, CASES / case / "recommendation.yml")
    expected = CASES / case / "expected"
    rendered = {file.path: file.content.decode() for file in render(rec)}
    reviewed = {
        str(path.relative_to(expected)): path.read_text(encoding="utf-8")
        for path in expected.rglob("*")
        if path.is_file() and path.name != "manifest"
    }
    assert rendered == reviewed


def test_rendering_is_deterministic() -> None:
    rec = read(Recommendation, CASES / "asgi" / "recommendation.yml")
    assert render(rec) == render(rec)


def test_a_files_end_is_a_line_end() -> None:
    for case in CASES.iterdir():
        for file in render(read(Recommendation, case / "recommendation.yml")):
            assert file.content.endswith(b"\n"), file.path
            assert not file.content.endswith(b"\n\n"), file.path
