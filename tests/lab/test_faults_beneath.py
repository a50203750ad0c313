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
    for marker in ("one", "two"):
        shop(host, trees / marker, knobs={"marker": marker})
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


@pytest.mark.parametrize("call", [1, 3, 8, 15, 24])
def test_a_write_or_rename_that_fails_once_ends_as_before(
    web: Host, trees: Path, call: int
) -> None:
    with beneath(web, FAILING.format(call)):
        operation = ended(web, requested(web, trees / "two", deadline_s=1.5))
        assert web.run("test -e /run/failed", check=False).code == 0, "it never came so far"
    assert operation["state"] in TERMINAL - {"committed", "return_failed"}
    assert_at_rest(web, 1, "one")
