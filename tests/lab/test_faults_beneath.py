"""What fails beneath the switch: its clock jumps, a write or a rename ends in an I/O error.

Neither a host's clock nor its disk can be spoilt without this machine's: the service's Python is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch.journal import TERMINAL
from tests.lab.switching import (
    UNIT,
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
    from collections.abc import Iterator
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

# Debian's Pythons read it first, `python3 -I` too; it is empty.
FIRST = "/etc/python3.11/sitecustomize.py"
JUMPING = f"""
import itertools, time
if "{UNIT}" in open("/proc/self/cgroup").read():
    turns, real = itertools.count(), time.time
    time.time = lambda: real() + {{}} * next(turns)
"""
# Once, however often the service is started.
FAILING = f"""
import errno, itertools, os
calls = itertools.count(1)
def failing(real):
    def call(*words):
        if next(calls) == {{}} and not os.path.exists("/run/failed"):
            open("/run/failed", "w").close()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*words)
    return call
if "{UNIT}" in open("/proc/self/cgroup").read():
    os.write, os.rename = failing(os.write), failing(os.rename)
"""


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the first tree; every test here leaves it so."""
    host = lab.boot("debian-12", name="beneath")
    for name in ("one", "two"):
        shop(host, trees / name, knobs={"marker": name})
    installed(host, trees / "one")
    committed(host, trees / "one")
    return host


@contextmanager
def beneath(host: Host, code: str) -> Iterator[None]:
    before = host.read(FIRST)
    host.run("rm -f /run/failed")
    host.put(FIRST, code)
    try:
        yield
    finally:
        host.put(FIRST, before)


def test_a_clock_that_jumps_ahead_ends_nothing_early(web: Host, trees: Path) -> None:
    with beneath(web, JUMPING.format(3600)):
        id_ = requested(web, trees / "two")
        assert wait(web, id_)["state"] == "held"
        assert said(web, f"return {id_}")["state"] == "returned"
    assert message(ended(web, id_)) == "lab asked for the return"
    assert_at_rest(web, 1, "one")


def test_a_clock_that_jumps_back_keeps_nothing_longer(web: Host, trees: Path) -> None:
    with beneath(web, JUMPING.format(-3600)):
        operation = ended(web, requested(web, trees / "two", deadline_s=1.5))
    assert operation["state"] == "returned"
    assert "no commit came within" in message(operation)
    assert_at_rest(web, 1, "one")


# Those that stage, those that switch and gate, those that return; an operation has fewer than 40.
@pytest.mark.parametrize("calls", [range(1, 13), range(13, 23), range(23, 40)], ids=str)
def test_each_write_and_each_rename_may_fail_once_and_all_ends_as_before(
    web: Host, trees: Path, calls: range
) -> None:
    for call in calls:
        with beneath(web, FAILING.format(call)):
            operation = ended(web, requested(web, trees / "two", deadline_s=0.5))
            has_failed = web.run("test -e /run/failed", check=False).code == 0
        assert operation["state"] in TERMINAL - {"committed", "return_failed"}, call
        assert (said(web, "status")["current"], marker(web)) == (1, "one"), call
        # A generation that could not be removed goes with the next start.
        web.run(f"systemctl start {UNIT}")
        assert_at_rest(web, 1, "one")
        if not has_failed:
            break
    assert has_failed is (calls.stop < 40)
