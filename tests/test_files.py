"""Strict in, whole or not at all out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import Facts, Measurement
from advisor.errors import InvalidInput

EXAMPLES = Path(__file__).parent / "examples"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yml", "a: 1\na: 2\n", r"a\.yml:2:1: duplicate key 'a'"),
        ("a.yml", "x: {b: 1, b: 2}\n", r"a\.yml:1:11: duplicate key 'b'"),
        ("a.yml", "a: [1\n", r"a\.yml:2:1: "),
        ("a.yml", "? [1, 2]\n: x\n", r"a\.yml:1:3: a key must be text"),
        ("a.yml", "a: !!python/object/apply:os.system [id]\n", r"a\.yml:1:4: "),
        ("a.yml", b"a: \xff\n", r"not UTF-8 text \(byte 3\)"),
        ("a.json", '{"a": 1, "a": 2}', r"not valid JSON: duplicate key 'a'"),
        ("a.json", '{"a": NaN}', r"not valid JSON: NaN is no number"),
        ("a.json", '{"a": -Infinity}', r"not valid JSON: -Infinity is no number"),
        ("a.json", "{", r"not valid JSON"),
        ("a.json", "[" * 100_000, r"nested too deep"),
        ("a.json", "", r"not valid JSON"),
    ],
)
def test_bad_text_is_said_with_its_place(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        files.load(write(tmp_path / name, text))


def test_a_missing_file_a_folder_and_a_huge_file_are_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        files.load(tmp_path / "none.yml")
    with pytest.raises(InvalidInput, match="Is a directory"):
        files.load(tmp_path)
    huge = tmp_path / "huge.yml"
    with huge.open("wb") as stream:
        stream.truncate(files.MAX_DOCUMENT_BYTES + 1)
    with pytest.raises(InvalidInput, match="larger than 32 MiB"):
        files.load(huge)


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_invalid_input(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.yml", "a.json"):
        try:
            files.load(write(folder / name, raw))
        except InvalidInput as error:
            assert name in error.message  # noqa: PT017 - either outcome is right, nothing else is


def test_a_document_is_written_and_read_in_both_formats(tmp_path: Path) -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    for name in ("out.json", "out.yml", "out.yaml"):
        files.write_document(facts, tmp_path / name)
        assert files.read(Facts, tmp_path / name) == facts
    assert stat.S_IMODE((tmp_path / "out.yml").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.yaml", "out.yml"]


def test_a_document_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    target = tmp_path / "facts.yml"
    files.write_document(facts, target)
    files.write_document(facts.model_copy(update={"pid": 7}), target)
    assert files.read(Facts, target).pid == 7


@pytest.mark.parametrize("text", ["precious\n", "schema: advisor/measurement/1\n", "[]", ""])
def test_what_is_not_ours_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    facts = files.read(Facts, EXAMPLES / "facts.json")
    target = write(tmp_path / "notes.yml", text)
    with pytest.raises(InvalidInput, match=r"exists and is no advisor/facts document"):
        files.write_document(facts, target)
    assert target.read_text() == text


def test_a_folder_and_a_dangling_link_are_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "d.yml"
    folder.mkdir()
    link = tmp_path / "l.yml"
    link.symlink_to(tmp_path / "nowhere")
    for path in (folder, link):
        with pytest.raises(InvalidInput, match="left as it is"):
            files.check_replaceable(path, Facts)


def test_an_extension_that_says_no_format_is_refused(tmp_path: Path) -> None:
    for name in ("out", "out.txt", "out.JSON"):
        with pytest.raises(InvalidInput, match="cannot tell the format"):
            files.check_replaceable(tmp_path / name, Measurement)


def test_a_missing_folder_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the folder .* does not exist"):
        files.check_replaceable(tmp_path / "no" / "out.yml", Facts)


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write(tmp_path / "a.yml", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInput, match="cannot be written: No space left on device"):
        files.write_atomic(target, b"new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
