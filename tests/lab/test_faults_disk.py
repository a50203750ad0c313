"""Full and read-only disks under a real switch: it ends as it was, or goes on once they are mended.

Faults of single calls are in tests/deploy/switch/core/test_crash.py, which makes each of them fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.spoiling import STATE, disk_at, fill, read_only
from tests.lab.switching import (
    UNIT,
    asking,
    assert_at_rest,
    carried_out,
    committed,
    ended,
    installed,
    marker,
    message,
    requested,
    said,
    until,
    wait,
)
from tests.lab.trees import shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.host import Host
    from tests.lab.lab import Lab

GENERATIONS, SITES = "/etc/advisor/generations", "/etc/nginx/conf.d"
# The journal's next line needs a block of its own; an empty line says nothing.
PAD = f"""
size=$(stat -c %s {STATE}/journal.jsonl)
head -c $((4096 - size % 4096)) /dev/zero | tr '\\0' '\\n' >> {STATE}/journal.jsonl
"""


@pytest.fixture(scope="module")
def web(lab: Lab, trees: Path) -> Host:
    """A host that serves the first tree; every test here leaves it so."""
    host = lab.boot("debian-12", name="disk")
    for marker_ in ("one", "two"):
        shop(host, trees / marker_, knobs={"marker": marker_})
    installed(host, trees / "one")
    committed(host, trees / "one")
    return host


@pytest.mark.parametrize(
    ("spoil", "word"), [(fill, "No space left on device"), (read_only, "Read-only file system")]
)
def test_generations_that_cannot_be_written_change_nothing(
    web: Host, trees: Path, spoil: Callable[[Host, str], None], word: str
) -> None:
    with disk_at(web, GENERATIONS):
        spoil(web, GENERATIONS)
        operation = carried_out(web, trees / "two")
        assert operation["state"] == "refused"
        assert word in message(operation)
        assert "df" in operation["reason"]["look"]
        assert marker(web) == "one"
    assert_at_rest(web, 1, "one")


@pytest.mark.parametrize(
    ("spoil", "word"), [(fill, "No space left on device"), (read_only, "Read-only file system")]
)
def test_state_that_cannot_be_written_takes_no_request_in(
    web: Host, trees: Path, spoil: Callable[[Host, str], None], word: str
) -> None:
    with disk_at(web, STATE):
        spoil(web, STATE)
        answer = web.run(
            "python3 -I /usr/local/lib/advisor/switch.pyz request -",
            stdin=asking(trees / "two"),
            check=False,
        )
        assert (answer.code, word in answer.out) == (1, True), answer
        assert marker(web) == "one"
    assert_at_rest(web, 1, "one")


def test_a_disk_that_fills_up_while_it_is_held_hinders_no_return(web: Host, trees: Path) -> None:
    """Nothing can be written down, and the way back had its room set aside."""
    with disk_at(web, STATE):
        id_ = requested(web, trees / "two", deadline_s=4.0)
        assert wait(web, id_)["state"] == "held"
        web.run(PAD)
        fill(web, STATE)
        operation = ended(web, id_)
        assert operation["state"] == "returned"
        assert "no commit came within 4 s" in message(operation)
        assert web.run(f"ls {STATE}/reserve", check=False).out == ""
        assert marker(web) == "one"
    assert_at_rest(web, 1, "one")


def test_a_state_that_turns_read_only_while_it_is_held_is_ended_once_it_is_mended(
    web: Host, trees: Path
) -> None:
    """What served before serves again though nobody can write that down."""
    with disk_at(web, STATE):
        id_ = requested(web, trees / "two", deadline_s=4.0)
        assert wait(web, id_)["state"] == "held"
        read_only(web, STATE)
        assert until(lambda: marker(web) == "one")
        assert web.run("readlink /etc/advisor/current").out == "generations/1\n"
        web.run(f"umount -l {STATE}; systemctl reset-failed {UNIT}")
        web.run(f"systemctl start --no-block {UNIT}")
        assert ended(web, id_)["state"] == "returned"
    assert_at_rest(web, 1, "one")


def test_links_that_cannot_be_made_are_taken_back(web: Host, trees: Path) -> None:
    """The folder of nginx's sites is read-only, and the tree has a site with a new name."""
    other = shop(web, trees / "other", app__name="other", domain="other.example", app__user="shop")
    read_only(web, SITES)
    try:
        operation = carried_out(web, other, app="other")
    finally:
        web.run(f"umount {SITES}")
    assert operation["state"] in {"refused", "returned"}
    assert "Read-only file system" in message(operation)
    assert not web.run("find /etc -lname '*current/other/*'").out
    assert web.run("systemctl show --value -p LoadState other.service").out == "not-found\n"
    assert_at_rest(web, 1, "one")


def test_a_return_that_a_read_only_folder_hinders_is_gone_on_with(web: Host, trees: Path) -> None:
    """Exit 6 of `advisor apply`: the operation says what is left to do, and a start does it."""
    other = shop(web, trees / "other", app__name="other", domain="other.example", app__user="shop")
    id_ = requested(web, other, app="other", deadline_s=3.0)
    assert wait(web, id_)["state"] == "held"
    read_only(web, SITES)
    operation = ended(web, id_)
    web.run(f"umount {SITES}")
    assert operation["state"] == "return_failed"
    assert "Read-only file system" in message(operation)
    assert "advisor-switch.service" in operation["reason"]["look"]
    web.run(f"systemctl start {UNIT}")
    assert said(web, f"wait {id_}")["state"] == "returned"
    assert_at_rest(web, 1, "one")
