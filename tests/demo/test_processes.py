from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from advisor.demo import processes
from advisor.errors import AdvisorError

if TYPE_CHECKING:
    from pathlib import Path

REPORT = """\
Running 5s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Latency Distribution
     50%   63.66ms
     99%    1.49s{space}
  4501 requests in 5.00s, 9.1MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:    899.15
"""


@pytest.mark.parametrize("space", ["", " "])
def test_wrks_report(space: str) -> None:
    score = processes.parse_wrk(REPORT.format(space=space))
    assert score == processes.Score(899.15, 0.06366, 1.49, requests=4501, failed=15)


def test_another_report_is_an_error() -> None:
    with pytest.raises(AdvisorError, match="no figures"):
        processes.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused")


def test_a_server_that_does_not_come_up_is_said_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "READY_S", 0.5)
    command = [sys.executable, "-c", "import time; print('so it is', flush=True); time.sleep(60)"]
    with (
        pytest.raises(AdvisorError, match="so it is"),
        processes.running(command, url="http://127.0.0.1:1/", log=tmp_path / "log"),
    ):
        raise AssertionError
    assert not [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_a_missing_program_is_said_with_the_remedy() -> None:
    with pytest.raises(AdvisorError, match="no-such-program") as caught:
        processes.program("no-such-program")
    assert caught.value.remedy
