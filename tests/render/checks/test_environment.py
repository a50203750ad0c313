"""environment/app.env: our own check, as no daemon has one."""

from __future__ import annotations

import doctest
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from advisor.render.checks import envfile, environment
from tests.render.kit.servers import file_of, inputs
from tests.render.kit.test_environment import ENV, POOLS, with_pools

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation
    from advisor.render import CheckResult

    Make = Callable[..., Recommendation]


def result(make: Make, old: str = "", new: str = "") -> CheckResult:
    rec = with_pools(make, POOLS)
    file = file_of(rec, ENV)
    assert old.encode() in file.content
    content = file.content.replace(old.encode(), new.encode(), 1)
    (found,) = environment.check([replace(file, content=content)], inputs(rec))
    return found


def test_the_example_in_the_docstring_is_true() -> None:
    results = doctest.testmod(envfile)
    assert results.attempted
    assert not results.failed


def test_what_is_rendered_passes(make: Make) -> None:
    assert result(make).status == "passed"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("ANYIO_TOKNES=80", "ANYIO_TOKNES is none of ours"),
        ("DATABASE_PASSWORD=hunter2", "DATABASE_PASSWORD is none of ours"),
        ("ANYIO_TOKENS=eighty", "ANYIO_TOKENS should be a number"),
        ("ANYIO_TOKENS=", "ANYIO_TOKENS has no value"),
        ("ANYIO_TOKENS = 80", "only NAME=VALUE"),
        ("ANYIO_TOKENS='80'", "only NAME=VALUE"),
        ("ANYIO_TOKENS=80 \\", "only NAME=VALUE"),
        ("# ANYIO_TOKENS=80 \\", "a part of this comment"),
        ("WEB_CONCURRENCY=3", "WEB_CONCURRENCY is there twice"),
    ],
)
def test_damage_is_caught_with_its_line(make: Make, new: str, said: str) -> None:
    text = file_of(with_pools(make, POOLS), ENV).content.decode()
    number = text[: text.index("ANYIO_TOKENS=80")].count("\n") + 1
    found = result(make, "ANYIO_TOKENS=80", new)
    assert found.status == "failed"
    assert any(line.startswith(f"{ENV}:{number}: ") and said in line for line in found.lines), found
