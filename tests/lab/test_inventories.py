"""Inventories as people have them: INI with ranges, groups within groups, passwords, free strategy.

One small fleet, applied to over and over: two hosts behind a load balancer.
"""

from __future__ import annotations

import json
import shlex
import signal
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml

from tests.lab.controller import (
    Controller,
    advisor,
    inventory,
    lines,
    marker,
    reached,
    settled,
    until,
)
from tests.lab.host import SSH_OPTIONS
from tests.lab.lab import BIN
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.host import Done, Host
    from tests.lab.lab import Lab

COMMIT = "Commit what the whole batch holds, or return it"
# As another operation holds it.
LOCKED = (
    "flock /var/lib/advisor/lock sleep 60 </dev/null >/dev/null 2>&1 & echo $! >/root/holder;"
    " until ! flock --nonblock /var/lib/advisor/lock true; do :; done"
)
QUICK = ("--dwell", "1", "--json")
INI = """\
web1 ansible_host={web1}
web2 ansible_host={web2}
lb ansible_host={lb}

[webs]
web[1:2]

[edge]
lb

[advisor_load_balancers:children]
edge

[all:vars]
ansible_user=root
ansible_ssh_private_key_file={key}
ansible_ssh_common_args={ssh}
ansible_python_interpreter=/usr/bin/python3
"""


class Fleet(NamedTuple):
    """Two hosts and their load balancer, and the inventory in which they are."""

    webs: list[Host]
    lb: Host
    ini: Path
    trees: Path

    def tree(self, marker: str, *peers: str, **knobs: Any) -> Path:
        """The shop with this marker, for all hosts; `peers` as the load balancer calls them."""
        hosts = [*peers] or [f"{host.address}:8080" for host in self.webs]
        folder = self.trees / uuid.uuid4().hex
        return shop(self.webs[0], folder, knobs={"marker": marker} | knobs, hosts=hosts)


@pytest.fixture(scope="module")
def fleet(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    hosts = [lab.boot("debian-12", name, wait=False) for name in ("web1", "web2", "lb")]
    for host in hosts:
        host.wait()
    *webs, lb = hosts
    folder = tmp_path_factory.mktemp("fleet")
    addresses = {host.name: host.address for host in hosts}
    text = INI.format(key=lab.key, ssh=shlex.quote(" ".join(SSH_OPTIONS)), **addresses)
    (folder / "hosts.ini").write_text(text)
    return Fleet(webs, lb, folder / "hosts.ini", folder)


def states(done: Done) -> dict[str, str]:
    return {each["host"]: each["state"] for each in json.loads(done.out)["hosts"]}


def notes(done: Done) -> str:
    return " ".join(
        note for each in json.loads(done.out)["hosts"] for note in each.get("notes", ())
    )


def markers(fleet: Fleet) -> list[str]:
    return [marker_of(host) for host in fleet.webs]


def marker_of(host: Host) -> str:
    return str(json.loads(host.fetch("/pid", host="shop.example", port=8080).body)["marker"])


# The order of the first three matters.


def test_ranges_and_groups_within_groups(lab: Lab, fleet: Fleet) -> None:
    done = advisor(lab, "apply", fleet.tree("one"), "-i", fleet.ini, *QUICK)
    assert done.code == 0, done.out + done.err
    assert states(done) == dict.fromkeys(("web1", "web2", "lb"), "committed")
    assert marker(fleet.lb) == "one"
    assert "warning" not in done.err


def test_a_limit_leaves_the_others_as_they_are(lab: Lab, fleet: Fleet) -> None:
    tree = fleet.tree("two", *[f"{host.address}:8080" for host in reversed(fleet.webs)])
    done = advisor(lab, "apply", tree, "-i", fleet.ini, "--limit", "web2:lb", *QUICK)
    assert done.code == 0, done.out + done.err
    assert states(done) == {"web2": "committed", "lb": "committed"}
    assert markers(fleet) == ["one", "two"]


def test_a_load_balancer_goes_back_where_it_is_named(lab: Lab, fleet: Fleet) -> None:
    had = len(lines(fleet.lb))
    back = advisor(lab, "rollback", "-i", fleet.ini, "--limit", "web2", "--json")
    assert (back.code, states(back)) == (0, {"web2": "committed"}), back.out + back.err
    assert markers(fleet) == ["one", "one"]
    # The drain of web2 is no operation of its own.
    assert len(lines(fleet.lb)) == had
    back = advisor(lab, "rollback", "-i", fleet.ini, "--limit", "lb", "--json")
    assert (back.code, states(back)) == (0, {"lb": "committed"}), back.out + back.err
    assert len(lines(fleet.lb)) > had


def test_an_address_that_is_a_template_is_drained(lab: Lab, fleet: Fleet) -> None:
    """And a name that no load balancer has is said, for that host is restarted undrained."""
    text = fleet.ini.read_text()
    for host in fleet.webs:
        text = text.replace(f"ansible_host={host.address}", f"address={host.address}")
    templated = fleet.ini.with_name("templated.ini")
    templated.write_text(text + "\n[webs:vars]\nansible_host={{ address }}\n")
    words = ("--limit", "webs:lb", "--verbose", *QUICK)
    done = advisor(lab, "apply", fleet.tree("three"), "-i", templated, *words)
    assert done.code == 0, done.out + done.err
    assert "Drain from the load balancers" in done.err
    assert notes(done) == ""
    names = [f"{host.name}.internal" for host in fleet.webs]
    for name, host in zip(names, fleet.webs, strict=True):
        fleet.lb.run(f"echo '{host.address} {name}' >>/etc/hosts")
    tree = fleet.tree("four", *[f"{name}:8080" for name in names])
    done = advisor(lab, "apply", tree, "-i", fleet.ini, *words)
    assert done.code == 0, done.out + done.err
    assert "Drain from the load balancers" not in done.err
    assert f"no load balancer knows this host by {fleet.webs[0].address} or web1" in notes(done)
    named = fleet.ini.with_name("named.ini")
    peer = "advisor_peer={{ inventory_hostname }}.internal"
    named.write_text(f"{fleet.ini.read_text()}\n[webs:vars]\n{peer}\n")
    tree = fleet.tree("five", *[f"{name}:8080" for name in names])
    done = advisor(lab, "apply", tree, "-i", named, *words)
    assert (done.code, notes(done)) == (0, ""), done.out + done.err
    assert "Drain from the load balancers" in done.err


def test_what_a_check_refuses_is_not_switched_undrained(lab: Lab, fleet: Fleet) -> None:
    web, was = fleet.webs[0], markers(fleet)
    path = "/etc/advisor/current/shop/systemd/shop.service"
    web.run(f"cp -p {path} /root/kept; echo '# mine' >>{path}")
    had = len(lines(web))
    done = advisor(lab, "apply", fleet.tree("six"), "-i", fleet.ini, "--limit", "webs", *QUICK)
    web.run(f"cp -p /root/kept {path}")
    assert done.code == 1, done.out + done.err
    assert states(done) == {"web1": "refused", "web2": "untouched"}
    assert "shop.service" in done.out
    assert len(lines(web)) == had
    assert markers(fleet) == was


def test_a_batch_is_one_whatever_strategy_is_configured(
    lab: Lab, fleet: Fleet, tmp_path: Path
) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\nstrategy = free\n")
    words = ("-i", fleet.ini, "--limit", "webs", "--serial", "100%", *QUICK)
    done = lab.ansible(
        *("advisor", "apply", fleet.tree("free"), *words),
        environment={"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")},
        check=False,
    )
    assert done.code == 0, done.out + done.err
    assert states(done) == {"web1": "committed", "web2": "committed"}


def test_a_commit_that_cannot_be_undone_for_another_holds_the_lock_is_exit_6(
    lab: Lab, fleet: Fleet
) -> None:
    web1, web2 = fleet.webs
    had = [len(lines(host)) for host in (web1, web2)]
    tree = fleet.tree("seven")
    hosts = inventory(lab, web1, web2, advisor_deadline_s=8)
    words = ("-i", hosts, "--serial", "100%", "--verbose", *QUICK)
    with Controller(lab, "advisor", "apply", tree, *words) as run:
        run.said(COMMIT)
        # Both hold, and web2 never hears of the commit.
        run.signal(signal.SIGSTOP)
        web2.cut()
        run.signal(signal.SIGCONT)
        try:
            reached(web1, "committed", after=had[0])
            web1.run(LOCKED)
            done = run.end()
            reached(web2, "returned", after=had[1])
        finally:
            web2.mend()
            web1.run("pkill -P $(cat /root/holder); true")
    assert done.code == 6, done.out + done.err
    assert states(done) == {"web1": "return_failed", "web2": "unreachable"}
    assert "is at work here" in done.out
    settled(web2)
    back = advisor(lab, "rollback", "-i", fleet.ini, "--limit", "web1", "--json")
    assert back.code == 0, back.out + back.err


def test_an_interrupted_apply_says_how_far_each_host_is(lab: Lab, fleet: Fleet) -> None:
    web = fleet.webs[0]
    had = len(lines(web))
    hosts = inventory(lab, *fleet.webs, advisor_deadline_s=3)
    with Controller(lab, "advisor", "apply", fleet.tree("eight"), "-i", hosts, *QUICK) as run:
        reached(web, "switching", after=had)
        run.interrupt()
        done = run.end()
    assert done.code == 130, done.err
    assert "web1: REFUSED" in done.err
    assert "it returns by itself within its deadline" in done.err
    assert "web2: not begun" in done.err
    assert settled(web)["operation"]["state"] == "returned"


@pytest.fixture
def passworded(fleet: Fleet) -> Iterator[Host]:
    """web2, whose admin may become root with a password alone."""
    host = fleet.webs[1]
    host.run("cp -p /etc/sudoers.d/admin /root/sudoers; echo 'admin:canary-51d' | chpasswd")
    host.put("/etc/sudoers.d/admin", "admin ALL=(ALL) ALL\n", mode=0o440)
    yield host
    host.run("cp -p /root/sudoers /etc/sudoers.d/admin")


def as_admin(lab: Lab, fleet: Fleet, password: str) -> Path:
    """An inventory in which web2 alone is reached as its admin; lb comes last."""
    path = lab.inventory([*fleet.webs, fleet.lb])
    document = yaml.safe_load(path.read_text())
    document["all"]["hosts"]["web2"] |= {
        "ansible_user": "admin",
        "ansible_become": True,
        "ansible_become_password": password,
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.mark.usefixtures("passworded")
def test_sudo_with_a_password(lab: Lab, fleet: Fleet) -> None:
    tree = fleet.tree("nine")
    hosts = as_admin(lab, fleet, "canary-51d")
    done = advisor(lab, "apply", tree, "-i", hosts, "--limit", "web2", *QUICK, "--verbose")
    assert done.code == 0, done.out + done.err
    assert states(done) == {"web2": "committed"}
    looked = advisor(lab, "inspect", "-i", hosts, "--limit", "web2", "--json")
    assert looked.code == 0, looked.err
    verified = advisor(lab, "verify", tree, "-i", hosts, "--limit", "web2")
    assert verified.code == 2
    assert "web2: verify needs sudo without a password" in verified.err
    for each in (done, looked, verified):
        assert "canary-51d" not in each.out + each.err


@pytest.mark.usefixtures("passworded")
def test_a_wrong_password_keeps_later_batches_back(lab: Lab, fleet: Fleet) -> None:
    """Though the other host of its batch has nothing to do."""
    tree = fleet.tree("ten")
    first = advisor(lab, "apply", tree, "-i", fleet.ini, "--limit", "web1", *QUICK)
    assert first.code == 0, first.out + first.err
    hosts = as_admin(lab, fleet, "canary-wrong")
    done = advisor(lab, "apply", tree, "-i", hosts, "--serial", "2,100%", *QUICK)
    assert done.code == 1, done.out + done.err
    assert states(done) == {"web1": "unchanged", "web2": "refused", "lb": "untouched"}
    assert "Incorrect sudo password" in done.out
    assert "ANSIBLE_BECOME_PASSWORD_FILE" in done.out
    looked = advisor(lab, "inspect", "-i", hosts, "--json")
    assert looked.code == 4, looked.out + looked.err
    assert set(json.loads(looked.out)["hosts"]) == {"web1", "lb"}
    assert "web2: " in looked.err
    assert "canary-wrong" not in done.out + done.err + looked.out + looked.err


def test_an_interrupted_verify_leaves_nothing(lab: Lab, fleet: Fleet) -> None:
    tree = fleet.tree("eleven")
    # Short: in it are sockets, whose paths have at most 107 bytes.
    scratch = lab.folder / "verify"
    scratch.mkdir()
    words = (f"TMPDIR={scratch}", BIN / "advisor", "verify", tree, "-i", fleet.ini)
    with Controller(lab, "/usr/bin/env", *words) as run:
        until(lambda: [*scratch.glob("advisor-ssh-*/*")], "a shared connection")
        run.interrupt()
        done = run.end()
        until(lambda: run.signal(0) == 0, "the end of all that it began", 10)
    assert done.code == 130, done.out + done.err
    assert [*scratch.iterdir()] == []
