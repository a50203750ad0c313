"""Secrets in command lines are found by name and never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host.secrets import secret_options


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["gunicorn", "-e", "DATABASE_PASSWORD=hunter2", "a:app"], ["--env DATABASE_PASSWORD"]),
        (["gunicorn", "--env", "api_token=x"], ["--env api_token"]),
        (["gunicorn", "--env=SECRET_KEY=x"], ["--env SECRET_KEY"]),
        (["uvicorn", "a:app", "--ssl-keyfile-password", "x"], ["--ssl-keyfile-password"]),
        (["hypercorn", "--keyfile-password=x"], ["--keyfile-password"]),
        (["gunicorn", "-e", "LOG_LEVEL=info"], []),
        (["gunicorn", "-e", "SECRET_KEY="], []),
        ([], []),
    ],
)
def test_what_holds_a_secret_is_named(argv: list[str], expected: list[str]) -> None:
    assert secret_options(argv) == expected


@given(st.text(alphabet="hunter2!$ \x1b", min_size=8))
def test_the_secret_itself_never_shows(secret: str) -> None:
    argv = ["gunicorn", "-e", f"PASSWORD={secret}", "--keyfile-password", secret]
    assert secret not in " ".join(secret_options(argv))
