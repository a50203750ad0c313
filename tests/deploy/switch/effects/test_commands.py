from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NoReturn

from advisor.deploy.switch.commands import Outcome, find, lacking, run
from advisor.deploy.switch.processes import children, now_s, snapshot, tree, wall_clock
from tests.deploy.switch.effects.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_what_a_program_says() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert done == Outcome(3, "out\n", "err\n")
    assert not done.is_good
    assert done.said == ["err"]
    assert run(["echo", "out"]).said == ["out"]


def test_it_gets_only_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "not yours")
    seen = run(["env"], environment={"NAME": "value"}).out.splitlines()
    assert "NAME=value" in seen
    assert not [line for line in seen if line.startswith("SECRET")]
    assert any(line.startswith("PATH=") and "/usr/sbin" in line for line in seen)


def test_at_the_time_limit_its_children_end_too(tmp_path: Path) -> None:
    script = f"sleep 100 & echo $! > {tmp_path}/pid; wait"
    began = time.monotonic()
    done = run(["sh", "-c", script], timeout_s=0.5)
    assert done.code is None
    assert "no answer within 0.5 s" in done.err
    assert time.monotonic() - began < 10
    child = int((tmp_path / "pid").read_text())
    until(lambda: child not in snapshot(), "end of the grandchild")


def test_a_program_or_a_user_that_is_not_there() -> None:
    assert run(["/nowhere/at/all"]).err == "/nowhere/at/all: No such file or directory"
    assert run(["true"], user="no-such-user").err == "there is no user no-such-user"
    assert find("no-such-program") is None
    assert "apt-get install nginx" in lacking("nginx", "nginx").look


def test_as_another_user(not_run: Callable[[str], NoReturn]) -> None:
    if os.geteuid() != 0:
        not_run("only root can become another user")
    assert run(["id", "-un"], user="nobody").out.strip() == "nobody"
    assert "root" not in run(["id", "-Gn"], user="nobody").out.split()


def test_processes_by_their_parents() -> None:
    before = now_s()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    try:
        among = snapshot()
        mine = among[child]
        assert mine.parent == os.getpid()
        assert child in children(os.getpid(), among)
        assert child in tree(os.getppid(), among)
        assert before - 0.1 < mine.started_s <= now_s()
        assert abs(wall_clock(mine.started_s) - time.time()) < 60
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)
    assert child not in snapshot()
