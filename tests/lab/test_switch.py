"""The switch on a real host: killed after every step, cut off from power, left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.spoiling import kill
from tests.lab.switching import (
    assert_at_rest,
    committed,
    ended,
    installed,
    marker,
    message,
    requested,
    said,
    wait,
)
from tests.lab.trees import shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

BEFORE = ("locked", "live_checked", "staged", "checked")
AFTER = ("switching", "switched", "activated", "gated", "held")


@pytest.fixture(scope="module")
def web(lab: Lab, release: str, trees: Path) -> Host:
    """A host that serves the first tree."""
    host = lab.boot(release, name="switched")
    for name in ("one", "two"):
        shop(host, trees / release / name, knobs={"marker": name})
    installed(host, trees / release / "one")
    assert said(host, "install") == {"changed": False}
    committed(host, trees / release / "one")
    return host


@pytest.mark.parametrize("step", [*BEFORE, *AFTER])
def test_a_kill_after_a_step_ends_as_before(
    web: Host, release: str, trees: Path, step: str
) -> None:
    id_ = requested(web, trees / release / "two")
    assert kill(web, id_, step) == 1
    operation = ended(web, id_)
    assert operation["state"] in {"refused", "returned"}
    assert "the switch was ended" in message(operation)
    assert step in BEFORE or operation["state"] == "returned"
    assert_at_rest(web, 1, "one")


def test_what_nobody_commits_returns_by_itself(web: Host, release: str, trees: Path) -> None:
    id_ = requested(web, trees / release / "two", deadline_s=2.0)
    assert wait(web, id_)["state"] == "held"
    assert marker(web) == "two"
    operation = ended(web, id_)
    assert operation["state"] == "returned"
    assert "no commit came" in message(operation)
    assert_at_rest(web, 1, "one")


@pytest.mark.parametrize("how", ["restarted", "without power"])
def test_a_host_that_goes_down_while_it_is_held_comes_up_as_before(
    web: Host, release: str, trees: Path, how: str
) -> None:
    id_ = requested(web, trees / release / "two")
    assert wait(web, id_)["state"] == "held"
    if how == "restarted":
        web.reboot()
    else:
        web.kill()
        web.start()
    operation = said(web, f"wait {id_}")
    assert operation["state"] == "returned"
    assert "the machine was restarted" in message(operation)
    assert_at_rest(web, 1, "one")
    assert "ordering cycle" not in web.run("journalctl --boot --no-pager").out
    order = web.run("systemctl show --property=Result --value advisor-boot.service").out.strip()
    assert order == "success"


def test_a_rollback_is_a_new_generation(web: Host, release: str, trees: Path) -> None:
    committed(web, trees / release / "two")
    assert marker(web) == "two"
    assert_at_rest(web, committed(web, None)["generation"], "one")
