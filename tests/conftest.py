"""What every test may ask for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def not_run() -> Callable[[str], NoReturn]:
    """Say that a test needs what this machine lacks; under CI that is a failure."""

    def say(reason: str) -> NoReturn:
        if os.environ.get("CI"):
            pytest.fail(f"must run under CI, but: {reason}", pytrace=False)
        pytest.skip(f"not run: {reason}")

    return say
