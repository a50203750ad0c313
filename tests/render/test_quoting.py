from __future__ import annotations

import ast
import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.errors import InvalidInput
from advisor.render import quoting, stage
from advisor.render.quoting import nginx, python, systemd

printable = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("module", [quoting, stage])
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed


@given(value=st.one_of(printable, st.integers(), st.booleans()))
def test_python_reads_back_what_was_quoted(value: str | int) -> None:
    read = ast.literal_eval(python(value))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["", "a b", "a;", "$x", "{", "a#b", "~x", '"', "a\n", "é", "\\"])
def test_nginx_refuses_what_is_more_than_a_word(text: str) -> None:
    with pytest.raises(InvalidInput, match="nginx"):
        nginx(text)


@pytest.mark.parametrize(
    "text", ["a b", "%h", "$x", "a\\", "a\nUser=root", '"', "'", ";", "é", "#"]
)
def test_systemd_refuses_what_is_more_than_a_word(text: str) -> None:
    with pytest.raises(InvalidInput, match="systemd"):
        systemd(text)
