from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import yaml

from advisor import files
from advisor.cli.main import run
from advisor.documents import Facts

if TYPE_CHECKING:
    from pathlib import Path


def inspect(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run(["inspect", *words])
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_json_is_the_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--json") == 0
    out, err = capsys.readouterr()
    facts = files.validate(Facts, json.loads(out), name="stdout")
    assert facts.cpu.limits[0].value == len(os.sched_getaffinity(0))
    assert out == files.dump(facts, is_json=True)
    assert err == ""


def test_the_table_says_which_limit_binds(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--json") == 0
    facts = files.validate(Facts, json.loads(capsys.readouterr().out), name="stdout")
    assert inspect() == 0
    out = capsys.readouterr().out
    assert f"{facts.cpu.effective:g} of {facts.cpu.logical}" in out
    assert facts.cpu.binding in out.replace("\n", "").replace(" ", "")
    assert "\x1b" not in out


def test_the_limits_are_those_of_the_named_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--json", "--pid", str(os.getpid())) == 0
    assert json.loads(capsys.readouterr().out)["pid"] == os.getpid()


@pytest.mark.parametrize("pid", ["0", "-4", "x"])
def test_no_process_number(pid: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--pid", pid) == 2
    assert "--pid" in capsys.readouterr().err


def test_a_process_that_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    assert inspect("--pid", str(2**22 + 1)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"--pid {2**22 + 1}: no such process" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", ["facts.json", "facts.yml"])
def test_the_document_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    for _ in range(2):  # a file of our own is replaced
        assert inspect("-o", str(path)) == 0
    out, err = capsys.readouterr()
    assert str(path) in err
    assert "CPUs" in out
    assert files.read(Facts, path).host.name == yaml.safe_load(path.read_text())["host"]["name"]


def test_a_file_of_somebody_else_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"mine": 1}')
    assert inspect("-o", str(path)) == 2
    assert str(path) in capsys.readouterr().err
    assert path.read_text() == '{"mine": 1}'
