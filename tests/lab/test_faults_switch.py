"""The switch killed at any moment of an operation: wholly old or wholly new, and served."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch.journal import TERMINAL
from tests.lab.spoiling import kill
from tests.lab.switching import (
    UNIT,
    assert_at_rest,
    committed,
    ended,
    installed,
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


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the first tree; every test here leaves it so."""
    host = lab.boot("debian-12", name="killed")
    for marker in ("one", "two"):
        shop(host, trees / marker, knobs={"marker": marker})
    installed(host, trees / "one")
    committed(host, trees / "one")
    return host


@pytest.mark.parametrize(("times", "later_s"), [(1, 0.0), (4, 0.15)])
def test_a_kill_while_it_returns_is_returned_by_the_next(
    web: Host, trees: Path, times: int, later_s: float
) -> None:
    """Nobody but systemd starts it again."""
    id_ = requested(web, trees / "two")
    assert wait(web, id_)["state"] == "held"
    said(web, f"return {id_} --seconds 0")
    assert kill(web, id_, "returning", times, later_s) >= min(times, 2)
    operation = ended(web, id_)
    assert operation["state"] == "returned"
    assert message(operation) == "lab asked for the return"
    assert_at_rest(web, 1, "one")


def test_a_kill_after_the_end_leaves_the_end_as_it_is(web: Host, trees: Path) -> None:
    id_ = requested(web, trees / "two")
    assert wait(web, id_)["state"] == "held"
    said(web, f"return {id_} --seconds 0")
    kill(web, id_, "returned")
    assert ended(web, id_)["state"] == "returned"
    web.run(f"systemctl start {UNIT}")
    assert_at_rest(web, 1, "one")


def test_a_kill_at_any_moment_of_the_switch_ends_as_before(web: Host, trees: Path) -> None:
    """Between the steps too: in the middle of a restart, of a reload, of the gate."""
    moments = random.Random(1)
    for _ in range(2):
        id_ = requested(web, trees / "two")
        kill(web, id_, "switching", times=2, later_s=moments.uniform(0, 1.5))
        assert ended(web, id_)["state"] == "returned"
        assert_at_rest(web, 1, "one")


def test_a_kill_before_the_first_step_loses_no_request(web: Host, trees: Path) -> None:
    """It was taken in for good, and is begun by whoever is started next."""
    slow = "[Service]\nExecStartPre=/bin/sleep 60\n"
    web.put(f"/run/systemd/system/{UNIT}.d/slow.conf", slow)
    web.run("systemctl daemon-reload")
    id_ = requested(web, trees / "two")
    assert said(web, f"wait {id_} --seconds 0")["state"] == "requested"
    web.run(f"rm -r /run/systemd/system/{UNIT}.d; systemctl daemon-reload")
    web.run(f"systemctl kill --signal=KILL {UNIT}")
    assert wait(web, id_)["state"] == "held"
    assert said(web, f"return {id_}")["state"] == "returned"
    assert_at_rest(web, 1, "one")


def test_a_rollback_is_killed_like_an_apply(web: Host, trees: Path) -> None:
    two = committed(web, trees / "two")["generation"]
    for step in ("checked", "switched"):
        id_ = requested(web, None)
        kill(web, id_, step)
        assert ended(web, id_)["state"] in TERMINAL - {"committed", "return_failed"}
        assert_at_rest(web, two, "two")
    id_ = requested(web, None)
    assert wait(web, id_)["state"] == "held"
    said(web, f"commit {id_} --seconds 0")
    kill(web, id_, "committed")
    assert ended(web, id_)["state"] == "committed"
    web.run(f"systemctl start {UNIT}")
    number = said(web, "status")["current"]
    assert number > two
    assert_at_rest(web, number, "one")


def test_a_commit_that_a_kill_overtakes_still_counts(web: Host, trees: Path) -> None:
    """The controller has been heard once its word is on the disk, whoever acts on it."""
    id_ = requested(web, trees / "two")
    assert wait(web, id_)["state"] == "held"
    pid = web.run(f"systemctl show --value -p MainPID {UNIT}").out.strip()
    web.run(f"kill -STOP {pid}")
    said(web, f"commit {id_} --seconds 0")
    web.run(f"kill -KILL {pid}")
    assert ended(web, id_)["state"] == "committed"
    assert_at_rest(web, said(web, "status")["current"], "two")
