"""The three ways in which a check ends: it holds, it does not, or it could not be made."""

from __future__ import annotations

from typing import NoReturn

import pytest


def held(is_so: bool, otherwise: str) -> None:
    """End the check as failed, with these words, unless it is so."""
    __tracebackhide__ = True
    if not is_so:
        pytest.fail(otherwise, pytrace=False)


def not_run(why: str) -> NoReturn:
    """End the check as not run: neither held nor failed."""
    __tracebackhide__ = True
    pytest.skip(why)
