"""An apply with nothing to do, beside the least that Ansible can be asked of the same hosts."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING

from advisor.deploy.ansible import playbooks
from benchmarks.apply.fleet import timed
from benchmarks.table import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.apply.fleet import Fleet

_RECAP = re.compile(r"^(\S+) +: ok=(\d+) +changed=(\d+) .*skipped=(\d+)", re.MULTILINE)


def idle(fleet: Fleet, counts: Sequence[int], *, pairs: int, dwell: str) -> list[Figure]:
    """For each number of hosts: the medians, their ratio, and the tasks."""
    tree = fleet.tree("idle", domain="shop.example")
    fleet.advisor("apply", tree, "-i", fleet.inventory(), "--dwell", dwell)
    return [figure for count in counts for figure in _of(fleet.first(count), tree, pairs)]


def _of(fleet: Fleet, tree: Path, pairs: int) -> list[Figure]:
    count = len(fleet.hosts)
    inventory = fleet.inventory()
    gather = ("ansible", "-i", inventory, "all", "-m", "setup")
    apply = ("advisor", "apply", tree, "-i", inventory)
    # In turn, so that what else the machine does meets both; the first pair opens connections.
    taken = [(_facts(fleet, gather), _unchanged(fleet, apply)) for _ in range(pairs + 1)][1:]
    setup_s, apply_s = (statistics.median(each) for each in zip(*taken, strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in taken)
    where = "one host" if count == 1 else f"{count} hosts"
    return [
        Figure(f"{where}: ansible -m setup", setup_s, "s"),
        Figure(f"{where}: an apply with nothing to do", apply_s, "s"),
        Figure(f"{where}: medians, apply / setup", apply_s / setup_s, "x", most=3),
        Figure(f"{where}: median of the pairs' ratios", ratio, "x"),
        Figure(f"{where}: tasks a host", _tasks(fleet, tree, inventory), "", most=10),
    ]


def _facts(fleet: Fleet, words: Sequence[str | Path]) -> float:
    took_s, said = timed(fleet, str(words[0]), *words[1:])
    if said.count("SUCCESS") != len(fleet.hosts):
        raise AssertionError(f"not every host was asked:\n{said[:2000]}")
    return took_s


def _unchanged(fleet: Fleet, words: Sequence[str | Path]) -> float:
    took_s, said = timed(fleet, str(words[0]), *words[1:])
    if said.count(": unchanged") != len(fleet.hosts):
        raise AssertionError(f"there was something to do:\n{said}")
    return took_s


def _tasks(fleet: Fleet, tree: Path, inventory: Path) -> int:
    """The most that one host has, by Ansible's own count, with those that it passed over."""
    words = ("-i", inventory, playbooks() / "site.yml", "-e", f"advisor_tree={tree}")
    _, said = timed(fleet, "ansible-playbook", *words)
    found = [
        (int(ok) + int(skipped), int(changed)) for _, ok, changed, skipped in _RECAP.findall(said)
    ]
    if len(found) != len(fleet.hosts) or any(changed for _, changed in found):
        raise AssertionError(f"no play that changes nothing:\n{said}")
    return max(tasks for tasks, _ in found)
