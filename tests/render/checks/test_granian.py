"""granian.env held against the real Granian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from advisor.render.checks import variables
from tests.render.kit.servers import checked, failures, line_of, recommended
from tests.render.kit.test_granian import ENV, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation
    from advisor.render import CheckResult

    Make = Callable[..., Recommendation]

pytestmark = pytest.mark.daemon


def results(
    make: Make, old: str = "", new: str = "", values: dict[str, Any] = USUAL, **intent: Any
) -> list[CheckResult]:
    return checked(variables.granian, recommended(make, "granian", values, **intent), ENV, old, new)


@pytest.mark.parametrize(
    "intent",
    [
        {},
        {"listen": "[::1]:8000", "proxy": "none"},
        {"module": "served:create_app()"},
        {"module": "served:wsgi", "interface": "wsgi", "values": USUAL | {"blocking_threads": 8}},
    ],
)
def test_what_is_rendered_passes(make: Make, intent: dict[str, Any]) -> None:
    assert [result.status for result in results(make, **intent)] == ["passed"] * 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("GRANIAN_BACKLOG", "GRANIAN_BACKLGO", "did you mean GRANIAN_BACKLOG?"),
        ("GRANIAN_BACKLOG=2048", "GRANIAN_BACKLOG=64", "64 is not in the range x>=128"),
        ("GRANIAN_WORKERS=1", "GRANIAN_WORKERS=0", "0 is not in the range x>=1"),
        ("GRANIAN_HTTP=1", "GRANIAN_HTTP=3", "'3' is not one of"),
        ("GRANIAN_LOOP=auto", "GRANIAN_LOOP=uvlop", "'uvlop' is not one of"),
        ("GRANIAN_RESPAWN_FAILED_WORKERS=true", "GRANIAN_RESPAWN_FAILED_WORKERS=maybe", "maybe"),
        ("GRANIAN_RESPAWN_INTERVAL=3.5", "GRANIAN_RESPAWN_INTERVAL=-3.5", "below zero"),
        ("GRANIAN_WORKERS=1", "GRANIAN_BLOCKING_THREADS=8", "for WSGI apps alone"),
        # The command says asgi, and it comes before a variable.
        ("GRANIAN_WORKERS=1", "GRANIAN_INTERFACE=rsgi", "GRANIAN_INTERFACE does not reach"),
    ],
)
def test_damage_is_caught_with_its_line(make: Make, old: str, new: str, said: str) -> None:
    lines = failures(results(make, old, new))
    number = line_of(recommended(make, "granian", USUAL), ENV, old)
    assert any(line.startswith(f"{ENV}:{number}: ") and said in line for line in lines), lines


def test_a_loop_that_is_not_installed_here_is_not_run(make: Make) -> None:
    found = results(make, "GRANIAN_LOOP=auto", "GRANIAN_LOOP=rloop")
    assert [result.status for result in found] == ["passed", "passed", "not_run"]
    assert "rloop is not installed" in found[2].lines[0]
