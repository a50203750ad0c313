"""The service's own trial, and that nothing of its environment is ever said."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.deploy.switch import trial
from advisor.deploy.switch.trial import redacted, surroundings, unit_texts, variables

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary-of-the-environment"


def test_a_units_texts_in_the_order_of_systemd(tmp_path: Path) -> None:
    for path, text in {
        "usr/lib/systemd/system/shop.service": "vendor",
        "etc/systemd/system/shop.service": "own",
        "usr/lib/systemd/system/shop.service.d/20-b.conf": "vendor's second",
        "usr/lib/systemd/system/shop.service.d/30-c.conf": "third",
        "etc/systemd/system/shop.service.d/20-b.conf": "second",
        "etc/systemd/system/shop.service.d/10-a.conf": "first",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert unit_texts("shop.service", tmp_path) == ["own", "first", "second", "third"]
    assert unit_texts("no.service", tmp_path) == []


def test_what_a_unit_gives_its_process(tmp_path: Path) -> None:
    (tmp_path / "one.env").write_text("B=file\nC=file\n")
    (tmp_path / "two.env").write_text("C=later\n")
    unit = (
        "[Unit]\nDescription=x\nEnvironment=NO=1\n"
        '[Service]\nEnvironment=A=1 "B=two words"\nEnvironment=D=50%%\n'
        "EnvironmentFile=/one.env\nEnvironmentFile=-/absent.env\nEnvironmentFile=/two.env\n"
        "WorkingDirectory=/srv/shop\n"
    )
    found = surroundings([unit], tmp_path)
    assert found.environment == {"A": "1", "B": "file", "C": "later", "D": "50%"}
    assert found.directory == "/srv/shop"
    assert found.missing == ()
    dropin = "[Service]\nEnvironment=\nEnvironmentFile=\nEnvironmentFile=/nowhere\n"
    found = surroundings([unit, dropin], tmp_path)
    assert found.environment == {}
    assert found.missing == ("/nowhere: No such file or directory",)


def test_the_environment_is_in_no_repr() -> None:
    unit = f"[Service]\nEnvironment=SECRET={CANARY}\n"
    assert CANARY not in repr(surroundings([unit]))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0")))
def test_an_environment_file_may_hold_anything(line: str) -> None:
    found = variables(f"# before\n{line}\nLAST=1\n")
    assert all(name.isidentifier() for name in found)


@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C"]), st.text("abcdefgh-", min_size=5, max_size=12)
    ),
    st.text("abcdefgh- $", max_size=60),
)
def test_no_value_is_left_in_a_line(environment: dict[str, str], around: str) -> None:
    line = around.join(environment.values())
    (told,) = redacted([line], environment)
    assert all(value not in told for value in environment.values())


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory, not_run: Callable[[str], NoReturn]) -> Path:
    """A unit with a secret, on a host below a folder that anybody may enter."""
    if os.geteuid() != 0:
        not_run("only root can become another user")
    root = Path(tmp_path_factory.mktemp("trial"))
    for folder in (root, root.parent):
        folder.chmod(0o755)
    secret = root / "etc/shop/env"
    secret.parent.mkdir(parents=True)
    secret.write_text(f"SECRET={CANARY}\nDATABASE=pg://shop:hunter2@db/shop\n")
    secret.chmod(0o600)
    unit = root / "etc/systemd/system/shop.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nEnvironmentFile=/etc/shop/env\nWorkingDirectory=/\n")
    return root


def tried(shop: Path, script: str, user: str = "nobody") -> object:
    return trial.problems("shop.service", ["/bin/sh", "-c", script], user, shop)


def test_a_trial_runs_as_the_user_with_the_units_environment(shop: Path) -> None:
    script = f'test "$SECRET" = {CANARY} && test "$(id -un)" = nobody && test "$PWD" = /'
    assert tried(shop, script) is None


def test_a_trial_that_fails_says_all_but_the_secrets(shop: Path) -> None:
    found = tried(shop, 'echo "cannot: $SECRET $DATABASE pg://a:hunter2@db" >&2; exit 1')
    assert isinstance(found, trial.Refusal)
    assert "as nobody, failed" in found.message
    assert found.lines == ("cannot: $SECRET $DATABASE pg://a:***@db",)
    assert CANARY not in str(found)
    assert "hunter2" not in str(found.lines)


def test_a_trial_that_hangs(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TRIAL_S", 0.3)
    found = tried(shop, "sleep 60")
    assert isinstance(found, trial.Refusal)
    assert "no answer within 0.3 s" in str(found.lines)


def test_what_is_not_there_is_named(shop: Path) -> None:
    found = tried(shop, "true", user="no-such-user")
    assert isinstance(found, trial.Refusal)
    assert "the user no-such-user that runs shop.service is not there" in found.message
    found = trial.problems("shop.service", ["/srv/shop/venv/bin/gunicorn"], "nobody", shop)
    assert found is not None
    assert "/srv/shop/venv/bin/gunicorn is not there" in found.message
    (shop / "etc/shop/env").unlink()
    found = trial.problems("shop.service", [sys.executable], "nobody", shop)
    assert found is not None
    assert found.lines == ("/etc/shop/env: No such file or directory",)
