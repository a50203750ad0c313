"""A batch that loses a host on the way is taken back as a whole, the lost host by itself."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.ansible import playbooks
from tests.lab.controller import Controller, apply, inventory, lines, reached, settled, whole
from tests.lab.trees import shop

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

COMMIT = "TASK [generation : Commit what the whole batch holds, or return it]"


@pytest.fixture(scope="module")
def webs(lab: Lab, trees: Path) -> list[Host]:
    found = [lab.boot("debian-12", name, wait=False) for name in ("web1", "web2")]
    for host in found:
        host.wait()
        host.run("systemctl start nginx")
    for name in ("one", "two"):
        shop(found[0], trees / name, knobs={"marker": name})
    assert apply(lab, trees / "one", *found).code == 0
    return found


def together(lab: Lab, trees: Path, webs: list[Host]) -> Controller:
    """The second tree on both, as one batch."""
    words = ("-e", f"advisor_tree={trees / 'two'}", "-e", '{"advisor_serial": ["100%"]}')
    hosts = inventory(lab, *webs, advisor_deadline_s=8, advisor_dwell_s=1)
    return Controller(lab, "ansible-playbook", "-i", hosts, *words, playbooks() / "site.yml")


def test_a_host_lost_while_it_switches(lab: Lab, webs: list[Host], trees: Path) -> None:
    before, had = [whole(host) for host in webs], len(lines(webs[1]))
    with together(lab, trees, webs) as run:
        reached(webs[1], "switching", after=had)
        webs[1].cut()
        try:
            done = run.end()
            reached(webs[1], "returned", after=had)
        finally:
            webs[1].mend()
    assert done.code != 0
    assert "web2 of the same batch: unreachable" in done.out
    assert [settled(host)["operation"]["state"] for host in webs] == ["returned", "returned"]
    assert [whole(host) for host in webs] == before


def test_a_host_lost_while_the_other_commits(lab: Lab, webs: list[Host], trees: Path) -> None:
    before, had = [whole(host) for host in webs], len(lines(webs[1]))
    with together(lab, trees, webs) as run:
        run.said(COMMIT)
        # Both hold. Nobody has asked for the commit yet, and web2 will never hear of it.
        run.signal(signal.SIGSTOP)
        webs[1].cut()
        run.signal(signal.SIGCONT)
        try:
            done = run.end()
            reached(webs[1], "returned", after=had)
        finally:
            webs[1].mend()
    assert done.code != 0
    assert "web2 of the same batch: unreachable" in done.out
    undone = settled(webs[0])["operation"]
    assert (undone["verb"], undone["state"]) == ("rollback", "committed")
    # The commit was undone by a generation of its own: all but its number is as before.
    assert [whole(host)["marker"] for host in webs] == ["one", "one"]
    assert whole(webs[1]) == before[1]
