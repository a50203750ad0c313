"""Real cgroup groups with a process inside, made below v1's own group or v2's root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.host import cgroups, gather, limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from advisor.documents import Facts

M = 2**20


@dataclass
class Nested:
    """An outer and an inner group of one controller. `None` as a limit takes it off."""

    controller: str
    version: int
    outer: Path
    inner: Path
    enabled: list[Path] = field(default_factory=list)

    def file(self, group: Path) -> Path:
        names = {
            ("cpu", 1): "cpu.cfs_quota_us",
            ("cpu", 2): "cpu.max",
            ("memory", 1): "memory.limit_in_bytes",
            ("memory", 2): "memory.max",
        }
        return group / names[self.controller, self.version]

    def limit(self, group: Path, value: float | None) -> str:
        """CPUs or bytes; gives the file's path, which is the limit's source."""
        none = "-1" if self.version == 1 else "max"
        words = none if value is None else str(int(value))
        if self.controller == "cpu":
            quota = none if value is None else str(int(value * 100_000))
            words = quota if self.version == 1 else f"{quota} 100000"
        self.file(group).write_text(words)
        return str(self.file(group))

    def make(self) -> None:
        """The groups, with v2's controller handed down: none of them holds a process yet."""
        above = [self.outer.parent, self.outer]
        for path in (self.outer, self.inner):
            path.mkdir(exist_ok=True)
        for path in above if self.version == 2 else []:
            control = path / "cgroup.subtree_control"
            if self.controller not in control.read_text().split():
                control.write_text(f"+{self.controller}")
                self.enabled.append(control)

    def remove(self) -> None:
        """Takes them away when the kernel has let go of their last process."""
        deadline = time.monotonic() + 10
        for path in (self.inner, self.outer):
            while path.exists():
                try:
                    path.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
        for control in self.enabled:
            if control.exists():
                with contextlib.suppress(OSError):  # another group took it up meanwhile
                    control.write_text(f"-{self.controller}")


def nested(controller: str) -> Nested | None:
    """Where groups can be made: below the own group in v1; below the mount in v2.

    A v2 group that holds processes hands no controller down, but its root does.
    """
    root = Path("/")
    memberships = cgroups.parse_membership(Path("/proc/self/cgroup").read_text())
    mounts = cgroups.parse_mounts(Path("/proc/self/mountinfo").read_text())
    found = cgroups.levels(controller, memberships, mounts, root)
    if not found.exact or not found.directories:
        return None
    own, top = (
        root / str(path).lstrip("/") for path in (found.directories[0], found.directories[-1])
    )
    version = 2 if (top / "cgroup.controllers").exists() else 1
    outer = (top if version == 2 else own) / f"advisor-test-{os.getpid()}"
    return Nested(controller, version, outer, outer / "inner")


@pytest.fixture
def groups(not_run: Callable[[str], NoReturn]) -> Iterator[dict[str, Nested]]:
    """Two nested groups each of cpu and memory, taken away again."""
    made = {name: group for name in ("cpu", "memory") if (group := nested(name))}
    if os.geteuid() != 0 or len(made) < 2:
        not_run("needs root and the cpu and memory controllers of cgroups")
    try:
        for group in made.values():
            try:
                group.make()
            except OSError as error:
                not_run(f"no {group.controller} group can be made: {error}")
        yield made
    finally:
        for group in made.values():
            group.remove()


@pytest.fixture
def member(groups: dict[str, Nested]) -> Iterator[int]:
    """A process in the inner groups."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        for group in groups.values():
            (group.inner / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
    finally:
        process.communicate(b"\n", timeout=10)


def rows(facts: Facts) -> dict[str, float | None]:
    return {limit.source: limit.value for limit in (*facts.cpu.limits, *facts.memory.limits)}


def test_groups_without_a_limit_have_rows_that_say_so(
    groups: dict[str, Nested], member: int
) -> None:
    facts, own = gather(member), gather()
    for group in groups.values():
        assert [rows(facts)[str(group.file(path))] for path in (group.inner, group.outer)] == [
            None,
            None,
        ]
    assert facts.cpu.effective == own.cpu.effective
    assert facts.memory.effective_bytes == own.memory.effective_bytes


def test_a_limit_above_a_leaf_without_one_binds_it_and_nobody_else(
    groups: dict[str, Nested], member: int
) -> None:
    cpu, memory = groups["cpu"], groups["memory"]
    quota, most = cpu.limit(cpu.outer, 0.25), memory.limit(memory.outer, 64 * M)
    facts = gather(member)
    assert (facts.cpu.effective, facts.cpu.quota, facts.cpu.binding) == (0.25, "limited", quota)
    assert (facts.memory.effective_bytes, facts.memory.binding) == (64 * M, most)
    assert rows(facts)[str(cpu.file(cpu.inner))] is None
    assert rows(facts)[str(memory.file(memory.inner))] is None
    own, _ = limits.cpu()
    assert own.binding != facts.cpu.binding


def test_the_tighter_of_two_binds(groups: dict[str, Nested], member: int) -> None:
    cpu, memory = groups["cpu"], groups["memory"]
    cpu.limit(cpu.outer, 0.5)
    tight = cpu.limit(cpu.inner, 0.25)
    memory.limit(memory.inner, 128 * M)
    most = memory.limit(memory.outer, 64 * M)
    facts = gather(member)
    assert (facts.cpu.effective, facts.cpu.binding) == (0.25, tight)
    assert (facts.memory.effective_bytes, facts.memory.binding) == (64 * M, most)
    memory.limit(memory.outer, 256 * M)
    assert gather(member).memory.effective_bytes == 128 * M
    if cpu.version == 2:  # v1 refuses a child more than its parent has
        tight = cpu.limit(cpu.outer, 0.125)
        assert gather(member).cpu.binding == tight


def test_what_a_group_uses_is_seen(groups: dict[str, Nested], member: int) -> None:
    memory = groups["memory"]
    source = memory.limit(memory.outer, 64 * M)
    found, _ = limits.memory(member)
    (row,) = [limit for limit in found.limits if limit.source == source]
    assert row.used_bytes is not None
    assert row.used_bytes < 64 * M
