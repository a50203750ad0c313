"""The small parts: the disk's calls, the journal, the lock, the saved files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from advisor.deploy.switch import disk, generations, lock, requests
from advisor.deploy.switch.documents import Refused
from advisor.deploy.switch.journal import Journal, view
from advisor.deploy.switch.lock import Lock

if TYPE_CHECKING:
    from pathlib import Path

    from advisor.deploy.switch.layout import Layout


def test_a_replaced_file_is_never_seen_half(tmp_path: Path) -> None:
    path = tmp_path / "shop.conf"
    path.write_text("old")
    old = path.open()
    disk.replace(path, b"new", mode=0o640, modified_ns=5_000)
    assert old.read() == "old"
    old.close()
    assert path.read_text() == "new"
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns) == (0o640, 5_000)
    assert [each.name for each in tmp_path.iterdir()] == ["shop.conf"]


def test_what_cannot_take_its_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.conf"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        disk.replace(path, b"new", mode=0o640)
    with pytest.raises(OSError, match="directory"):
        disk.replace_link(path, "aside")
    assert [*tmp_path.iterdir()] == [path]


def test_a_folder_that_another_makes_at_the_same_moment_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two requests on a host, at once: neither is to fail for it."""
    mkdir = os.mkdir

    def beaten(path: Path, mode: int) -> None:
        mkdir(path, mode)
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", beaten)
    assert disk.make_folder(tmp_path / "state", mode=0o755) is False
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o755
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        disk.make_folder(tmp_path / "file", mode=0o755)


def test_a_link_replaces_a_file_and_a_file_a_link(tmp_path: Path) -> None:
    path, aside = tmp_path / "shop.conf", tmp_path / "aside"
    aside.write_text("aside")
    path.write_text("old")
    disk.replace_link(path, "aside")
    assert path.read_text() == "aside"
    disk.replace(path, b"new", mode=0o600)
    assert (path.read_text(), aside.read_text()) == ("new", "aside")


def test_a_tree_is_removed_and_no_link_in_it_is_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "gone/deep").mkdir(parents=True)
    (tmp_path / "gone/deep/link").symlink_to(tmp_path / "kept")
    disk.remove_tree(tmp_path / "gone")
    disk.remove_tree(tmp_path / "gone")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_a_folder_with_something_in_it_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").touch()
    disk.remove_empty(tmp_path / "a")
    disk.remove_empty(tmp_path / "none")
    assert (tmp_path / "a/b").exists()
    (tmp_path / "a/b").unlink()
    disk.remove_empty(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_journal_passes_over_what_is_no_line_of_it(layout: Layout) -> None:
    layout.state.mkdir()
    layout.journal.write_bytes(b'\xff\n[]\n{"id": 1}\n{"id": "a", "step": "locked", "at": "x"}\n{"')
    journal = Journal(layout)
    assert list(journal.operations()) == ["a"]
    journal.append("a", "switching", generation=7, **{"from": 6})
    journal.append("a", "committed", generation=7)
    assert [line["step"] for line in journal.lines("a")] == ["locked", "switching", "committed"]
    assert (list(journal.committed()), journal.highest()) == ([7], 7)
    shown = view(journal.lines("a"))
    assert (shown["state"], shown["from"], shown["generation"]) == ("committed", 6, 7)


def test_the_lock_names_its_holder_until_it_is_let_go(layout: Layout) -> None:
    requests.make_folders(layout)
    assert lock.holder(layout) is None
    mine, yours = Lock(layout), Lock(layout)
    mine.take({"by": "anna", "verb": "apply", "app": "shop", "since": "noon"}, wait_s=0)
    with pytest.raises(Refused, match="anna is at work here: apply of shop, since noon"):
        yours.take({"by": "ben"}, wait_s=0.1)
    mine.name({"by": "carl"})
    assert lock.holder(layout) == {"by": "carl"}
    mine.release()
    assert lock.holder(layout) is None
    yours.take({"by": "ben"}, wait_s=0)
    yours.release()


def test_requests_are_taken_in_order_and_half_ones_passed_over(layout: Layout) -> None:
    requests.make_folders(layout)
    assert requests.waiting(layout) == []
    for id_ in ("b", "a"):
        requests.submit(layout, id_, {"by": "anna", "verb": "apply", "app": "shop"})
        os.utime(layout.requests / f"{id_}.json", ns=(ord("c") - ord(id_),) * 2)
    (layout.requests / "half.json").write_text("{")
    assert [one.id for one in requests.waiting(layout)] == ["b", "a"]
    assert requests.waiting(layout)[0].who["by"] == "anna"
    requests.give_answer(layout, "a", "commit")
    assert requests.answer(layout, "a") == "commit"
    requests.give_answer(layout, "a", "return")
    assert requests.answer(layout, "a") == "return"
    requests.finish(layout, "a")
    assert requests.answer(layout, "a") is None
    assert (layout.requests / "b.json").stat().st_mode & 0o777 == 0o600


def test_only_numbers_are_generations(layout: Layout) -> None:
    assert (generations.numbers(layout), generations.current(layout)) == ([], None)
    for name in ("2", "10", ".new-11", "x"):
        (layout.generations / name).mkdir(parents=True)
    assert generations.numbers(layout) == [2, 10]
    layout.current.symlink_to("/elsewhere/3")
    with pytest.raises(Refused, match="no link to a generation"):
        generations.current(layout)


def test_a_submitted_request_holds_what_was_asked(layout: Layout) -> None:
    requests.make_folders(layout)
    requests.submit(layout, "a", {"by": "anna", "files": {}})
    stored = json.loads((layout.requests / "a.json").read_text())
    assert stored["request"] == {"by": "anna", "files": {}}
