"""A log that grows, is rotated, is cut, is not there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.errors import InvalidInput
from advisor.probe.passive import follow
from advisor.probe.passive.follow import Follower, recent
from advisor.probe.passive.formats import parser

if TYPE_CHECKING:
    from collections.abc import Callable


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def combined(path: str, at: float) -> str:
    when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
    return f'127.0.0.1 - - [{when}] "GET {path} HTTP/1.1" 200 5 "-" "-"\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_text("old\n")
    return path


def test_from_its_end_by_whole_lines(log: Path) -> None:
    with Follower(log) as follower:
        assert list(follower.lines()) == []
        append(log, "one\ntw")
        assert list(follower.lines()) == ["one"]
        append(log, "o\r\n")
        assert list(follower.lines()) == ["two"]


def test_over_a_rotation_while_the_old_file_is_still_written(log: Path) -> None:
    with Follower(log) as follower, log.open("a") as still:
        log.rename(log.with_name("access.log.1"))
        assert list(follower.lines()) == []
        log.touch()
        still.write("late\n")
        still.flush()
        assert list(follower.lines()) == ["late"]
        append(log, "new\n")
        assert list(follower.lines()) == ["new"]


def test_over_many_rotations_without_running_out_of_descriptors(log: Path) -> None:
    before = descriptors()
    with Follower(log) as follower:
        for number in range(20):
            log.rename(log.with_name(f"access.log.{number}"))
            append(log, f"{number}\n")
            assert list(follower.lines()) == [str(number)]
        assert descriptors() <= before + follow.MAX_FILES
    assert descriptors() == before


def test_over_copytruncate(log: Path) -> None:
    with Follower(log) as follower:
        append(log, "one\nhalf")
        assert list(follower.lines()) == ["one"]
        os.truncate(log, 0)
        append(log, "two\n")
        assert list(follower.lines()) == ["two"]


def test_through_a_symbolic_link(log: Path) -> None:
    link = log.with_name("link.log")
    link.symlink_to(log)
    with Follower(link) as follower:
        append(log, "one\n")
        assert list(follower.lines()) == ["one"]


def test_a_line_without_an_end_is_skipped_in_little_memory(log: Path) -> None:
    with Follower(log) as follower:
        for _ in range(20):
            append(log, "x" * 500_000)
            assert list(follower.lines()) == []
            assert sum(len(each.rest) for each in follower._files) <= follow.MAX_LINE
        append(log, "\nnext\n")
        assert list(follower.lines()) == ["next"]


def test_bytes_that_are_no_text_are_read(log: Path) -> None:
    with Follower(log) as follower:
        with log.open("ab") as stream:
            stream.write(b"\xff\x00\n")
        assert list(follower.lines()) == ["\ufffd\x00"]


def test_what_is_no_log_is_refused_with_what_to_do(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", tmp_path / "a\0b"):
        with pytest.raises(InvalidInput, match="access log") as raised, Follower(path):
            pass
        assert raised.value.remedy
        with pytest.raises(InvalidInput):
            recent(path, parser(None), 60)


def test_without_the_right_to_read_it(as_nobody: Callable[[str], str], log: Path) -> None:
    log.chmod(0o600)
    code = f"""
from pathlib import Path
from advisor.errors import InvalidInput
from advisor.probe.passive.follow import Follower
try:
    with Follower(Path({str(log)!r})): print("read")
except InvalidInput as error:
    print(error)
"""
    said = as_nobody(code)
    assert "Permission denied" in said
    assert "group" in said


def test_the_last_minutes(log: Path) -> None:
    now = time.time()
    append(log, combined("/long-ago", now - 3600) + combined("/new", now - 5) + "half")
    assert [entry.path for entry in recent(log, parser(None), 600)] == ["/new"]


def test_the_last_minutes_of_a_log_that_nobody_wrote_to(log: Path) -> None:
    log.write_text(json.dumps({"request": "GET /undated HTTP/1.1", "status": 200}) + "\n")
    assert [entry.path for entry in recent(log, parser(None), 600)] == ["/undated"]
    os.utime(log, (time.time() - 3600, time.time() - 3600))
    assert recent(log, parser(None), 600) == []


def test_the_last_minutes_before_a_rotation_count(log: Path) -> None:
    now = time.time()
    log.with_name("access.log.1").write_text(
        combined("/before", now - 3600) + combined("/rotated", now - 60)
    )
    log.write_text(combined("/new", now))
    assert [entry.path for entry in recent(log, parser(None), 600)] == ["/rotated", "/new"]
    log.write_text("")
    assert [entry.path for entry in recent(log, parser(None), 600)] == ["/rotated"]


def test_no_more_than_the_end_of_a_long_log_is_read(log: Path) -> None:
    line = combined("/x", time.time())
    log.write_text(line * 1000)
    assert len(recent(log, parser(None), 600, most_bytes=10 * len(line) + 5)) == 10
