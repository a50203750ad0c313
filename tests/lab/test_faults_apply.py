"""An apply whose controller, network, power or timing fails: wholly old or wholly new, and up."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.lab.controller import (
    Controller,
    apply,
    inventory,
    lines,
    marker,
    reached,
    settled,
    status,
    until,
    whole,
)
from tests.lab.trees import shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

QUICK = ("--dwell", "1")
# The deadline of a held change, where a test waits for it; long enough to act before it.
SHORT = {"advisor_deadline_s": 2}


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """It serves the first tree, and starts all of it at boot."""
    host = lab.boot("debian-12", name="web1")
    host.run("systemctl enable --now nginx")
    for name in ("one", "two"):
        shop(host, trees / name, knobs={"marker": name})
    assert apply(lab, trees / "one", host).code == 0
    return host


@pytest.fixture
def at_one(lab: Lab, web: Host, trees: Path) -> dict[str, object]:
    """What the host serves before the fault: always the first tree."""
    settled(web)
    if marker(web) != "one":
        assert apply(lab, trees / "one", web).code == 0
    return whole(web)


def applying(lab: Lab, host: Host, tree: Path, *more: str, **variables: object) -> Controller:
    """An apply that a test interferes with."""
    hosts = inventory(lab, host, **variables)
    return Controller(lab, "advisor", "apply", tree, "-i", hosts, *QUICK, *more)


# What the controller suffers


@pytest.mark.parametrize("step", ["staged", "switching", "held"])
def test_a_killed_controller_leaves_a_host_that_returns_by_itself(
    lab: Lab, web: Host, trees: Path, at_one: object, step: str
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two", **SHORT) as run:
        reached(web, step, after=had)
        run.kill()
    found = settled(web)["operation"]
    assert found["state"] == "returned"
    # What it is given for holding, and the gate's dwell time.
    assert "no commit came within 3 s" in found["reason"]["message"]
    assert whole(web) == at_one


def test_a_controller_killed_after_the_commit_has_done_it(
    lab: Lab, web: Host, trees: Path, at_one: object
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two") as run:
        reached(web, "committed", after=had)
        run.kill()
    assert settled(web)["operation"]["state"] == "committed"
    assert whole(web) != at_one
    assert marker(web) == "two"
    again = apply(lab, trees / "two", web)
    assert (again.code, again.out) == (0, "web1: unchanged\n")


def test_an_interrupted_controller_says_so_and_the_host_returns(
    lab: Lab, web: Host, trees: Path, at_one: object
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two", **SHORT) as run:
        reached(web, "switching", after=had)
        run.interrupt()
        done = run.end()
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    assert whole(web) == at_one


# What the network suffers


@pytest.mark.parametrize("step", ["staged", "held"])
def test_a_cut_connection_ends_as_before(
    lab: Lab, web: Host, trees: Path, at_one: object, step: str
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two", **SHORT) as run:
        reached(web, step, after=had)
        web.cut()
        try:
            done = run.end()
            until(lambda: lines(web)[-1]["step"] == "returned", "the return without a network")
        finally:
            web.mend()
    assert done.code == 1, done.out + done.err
    assert "web1: UNREACHABLE" in done.out
    assert whole(web) == at_one


def test_a_short_cut_is_survived(lab: Lab, web: Host, trees: Path, at_one: object) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two") as run:
        reached(web, "staged", after=had)
        web.cut()
        try:
            reached(web, "switched", after=had)
        finally:
            web.mend()
        done = run.end()
    assert done.code == 0, done.out + done.err
    assert whole(web) != at_one
    assert marker(web) == "two"


# Others at the same host


def test_of_two_applies_at_once_one_wins_and_is_named(
    lab: Lab, web: Host, trees: Path, at_one: object
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two", "--dwell", "12") as first:
        reached(web, "locked", after=had)
        second = apply(lab, trees / "two", web)
        won = first.end()
    assert second.code == 1, second.out + second.err
    assert "web1: REFUSED" in second.out
    by = settled(web)["operation"]["by"]
    assert f"{by} is at work here: apply of shop, since 2" in second.out
    assert won.code == 0, won.out + won.err
    assert whole(web) != at_one
    assert marker(web) == "two"


def test_a_plan_that_was_overtaken_is_refused(
    lab: Lab, web: Host, trees: Path, at_one: object
) -> None:
    with applying(lab, web, trees / "two", "--verbose") as slow:
        # It has seen generation n, and is held up before it asks for anything.
        slow.said("TASK [Bring what is missing]")
        slow.signal(signal.SIGSTOP)
        other = shop(web, trees / "three", knobs={"marker": "three"})
        assert apply(lab, other, web).code == 0
        now = whole(web)
        slow.signal(signal.SIGCONT)
        done = slow.end()
    assert done.code == 1, done.out + done.err
    assert "the plan is stale" in done.out
    assert whole(web) == now
    assert now != at_one


# What the host suffers, last: connections of Ansible's are dead after it


def test_a_host_restarted_before_its_confirmation_serves_the_old(
    lab: Lab, web: Host, trees: Path, at_one: object
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two") as run:
        reached(web, "held", after=had)
        run.kill()
    assert status(web)["operation"]["state"] == "held"
    assert marker(web) == "two"
    web.reboot()
    found = settled(web)["operation"]
    assert found["state"] == "returned"
    assert "the machine was restarted" in found["reason"]["message"]
    assert whole(web) == at_one


@pytest.mark.parametrize("step", ["switching", "held"])
def test_a_host_without_power_before_its_confirmation_serves_the_old(
    lab: Lab, web: Host, trees: Path, at_one: object, step: str
) -> None:
    had = len(lines(web))
    with applying(lab, web, trees / "two") as run:
        reached(web, step, after=had)
        web.kill()
        done = run.end()
    web.start()
    assert done.code == 1, done.out + done.err
    assert "web1: UNREACHABLE" in done.out
    assert settled(web)["operation"]["state"] == "returned"
    assert whole(web) == at_one
