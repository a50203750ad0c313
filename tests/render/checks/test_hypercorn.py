"""hypercorn.toml held against the real Hypercorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.render.checks import hypercorn
from tests.render.kit.servers import checked, failures, line_of, recommended
from tests.render.kit.test_hypercorn import TOML, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation
    from advisor.render import CheckResult

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon


def results(make: Make, old: str = "", new: str = "", **intent: Any) -> list[CheckResult]:
    return checked(hypercorn.check, recommended(make, "hypercorn", USUAL, **intent), TOML, old, new)


@pytest.mark.parametrize(
    "intent",
    [{}, {"listen": "[::1]:8000", "proxy": "none"}, {"module": "served:create_app()"}],
)
def test_what_is_rendered_passes(make: Make, intent: dict[str, Any]) -> None:
    assert [result.status for result in results(make, **intent)] == ["passed"] * 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("backlog = ", "bakclog = ", "knows no setting bakclog; did you mean backlog?"),
        ("backlog = ", "log = ", "knows no setting log"),
        ("backlog = ", "_bind = ", "knows no setting _bind"),
        ("backlog = ", "create_sockets = ", "knows no setting create_sockets"),
        ("workers = 2", 'workers = "2"', "workers should be int, not '2'"),
        ("workers = 2", "workers = 2.0", "workers should be int"),
        ("workers = 2", "workers = true", "workers should be int, not True"),
        ("workers = 2", "workers = -1", "workers should not be below zero"),
        ("workers = 2", "include_server_header = 1", "include_server_header should be bool"),
        ("max_requests = 100000", "max_requests = 1.5", "max_requests should be int"),
        ("keep_alive_timeout = 75", "keep_alive_timeout = 'x'", "keep_alive_timeout should be"),
        ('"uvloop"', '"uvlop"', "uvlop is none of asyncio, uvloop, trio"),
        ("workers = 2", "workers = ", "at line"),
        ("workers = 2", 'bind = "127.0.0.1:9"', "bind does not reach Hypercorn"),
    ],
)
def test_damage_is_caught_with_its_line(make: Make, old: str, new: str, said: str) -> None:
    lines = failures(results(make, old, new))
    number = line_of(recommended(make, "hypercorn", USUAL), TOML, old)
    assert any(line.startswith(f"{TOML}:{number}: ") and said in line for line in lines), lines


def test_a_fraction_is_a_time_too(make: Make) -> None:
    found = results(make, "keep_alive_timeout = 75", "keep_alive_timeout = 75.5")
    assert [result.status for result in found] == ["passed"] * 2


def test_a_worker_class_that_is_not_installed_here_is_not_run(make: Make) -> None:
    found = results(make, '"uvloop"', '"trio"')
    assert [result.status for result in found] == ["passed", "not_run"]
    assert "trio is not installed" in found[1].lines[0]


def test_another_minor_version_does_not_speak_for_the_target(make: Make) -> None:
    (found,) = results(make, version="0.17.3")
    assert found.status == "not_run"
