from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor import files
from advisor.documents import ClassCost
from advisor.probe.classes import store
from advisor.probe.classes.interpreter import Interpreter
from advisor.probe.classes.store import Cache, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

COST = ClassCost(cpu_s=0.0002, held_s=0.00025)
NOBODY = 65534


def python(**packages: str) -> Interpreter:
    return Interpreter(sys.executable, packages)


def write(path: Path, age_s: float) -> None:
    path.parent.mkdir(mode=0o700, parents=True)
    entries = {"a": [Entry(measured_at=time.time() - age_s, cost=COST)]}
    cache = Cache(schema_=store.SCHEMA, entries=entries)
    path.write_text(files.dump(cache, is_json=True))
    path.chmod(0o600)


def test_what_is_written_is_read_again_and_added_to(cache: Path) -> None:
    assert store.default_path() == cache
    assert store.read(cache) == {}
    cache.parent.parent.mkdir()
    old_umask = os.umask(0)
    try:
        store.write(cache, {"a": COST})
    finally:
        os.umask(old_umask)
    other = ClassCost(cpu_s=0.0004, held_s=0.0005)
    store.write(cache, {"b": other})
    assert store.read(cache) == {"a": [COST], "b": [other]}
    store.write(cache, {"a": other})
    assert store.read(cache) == {"a": [COST, other], "b": [other]}
    assert [cache.stat().st_mode & 0o777, cache.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert [entry.name for entry in cache.parent.iterdir()] == ["classes.json"]


def test_one_measurement_among_several_does_not_count(cache: Path) -> None:
    """The third of these is another machine's, as it were."""
    for cpu_s, wake_s in ((103, 540), (116, None), (171, 596), (105, 480), (104, 550)):
        wake = None if wake_s is None else wake_s / 1e6
        store.write(cache, {"a": ClassCost(cpu_s=cpu_s / 1e6, held_s=2 * cpu_s / 1e6, wake_s=wake)})
    seen = store.read(cache)["a"]
    assert len(seen) == store.ENOUGH
    assert store.middle(seen) == ClassCost(cpu_s=105e-6, held_s=210e-6, wake_s=545e-6)
    store.write(cache, {"a": COST})
    assert len(store.read(cache)["a"]) == store.ENOUGH, "the oldest makes room"
    assert store.read(cache)["a"][-1] == COST


def test_nothing_measured_leaves_no_file(cache: Path) -> None:
    store.write(cache, {})
    assert not cache.parent.exists()


@pytest.mark.parametrize(("age_s", "read"), [(29 * 86400, [COST]), (31 * 86400, []), (-3600, [])])
def test_old_entries_and_those_of_the_future_do_not_count(
    cache: Path, age_s: float, read: list[ClassCost]
) -> None:
    write(cache, age_s)
    assert store.read(cache) == {"a": read}


def test_what_was_measured_over_unix_sockets_does_not_count(cache: Path) -> None:
    write(cache, age_s=0)
    assert store.read(cache) == {"a": [COST]}
    cache.write_text(cache.read_text().replace(store.SCHEMA, "advisor/classes/1"))
    assert store.read(cache) == {}


def test_the_oldest_entries_make_room(cache: Path) -> None:
    write(cache, age_s=86400)
    store.write(cache, {str(number): COST for number in range(store.MAX_ENTRIES)})
    assert set(store.read(cache)) == {str(number) for number in range(store.MAX_ENTRIES)}


def test_other_versions_another_python_and_another_class_are_other_keys(tmp_path: Path) -> None:
    one = python(gunicorn="27.0.1", uvicorn="0.54.0")
    copy = tmp_path / "python"
    copy.touch()
    keys = [
        store.key("sync", one),
        store.key("gthread", one),
        store.key("sync", python(gunicorn="27.0.2", uvicorn="0.54.0")),
        store.key("sync", python(gunicorn="27.0.1")),
        store.key("sync", Interpreter(str(copy), one.packages)),
    ]
    assert len(set(keys)) == len(keys)
    assert store.key("sync", python(uvicorn="0.54.0", gunicorn="27.0.1")) == keys[0]


def test_another_share_of_the_machine_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store.key("sync", python())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(1000)})
    assert store.key("sync", python()) != whole


def test_the_key_does_not_show_the_machines_id() -> None:
    identity = Path("/etc/machine-id")
    shown = store.key("sync", python())
    assert not identity.exists() or identity.read_text().strip() not in shown


GOOD = files.dump(
    Cache(schema_=store.SCHEMA, entries={"a": [Entry(measured_at=1, cost=COST)]}), is_json=True
).encode()


@given(
    st.one_of(
        st.binary(),
        st.integers(0, len(GOOD) - 2).map(lambda end: GOOD[:end]),
        st.text().map(
            lambda text: GOOD.replace(store.SCHEMA.encode(), text.encode("utf-8", "replace"))
        ),
        st.sampled_from([b"NaN", b"1e999", b"-1", b'"1"', b"[" * 100_000]).map(
            lambda value: GOOD.replace(b'"measured_at": 1', b'"measured_at": ' + value)
        ),
    )
)
def test_a_corrupt_file_is_no_cache_and_is_replaced(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classes.json"
        path.write_bytes(content)
        path.chmod(0o600)
        assert store.read(path) == {}
        store.write(path, {"b": COST})
        assert store.read(path)["b"] == [COST]


def test_a_file_too_large_to_be_ours_is_no_cache(cache: Path) -> None:
    write(cache, age_s=0)
    with cache.open("a") as stream:
        stream.write(" " * store.MAX_BYTES)
    assert store.read(cache) == {}


@pytest.mark.parametrize("part", ["file", "folder"])
def test_what_others_may_write_is_no_cache(cache: Path, part: str) -> None:
    write(cache, age_s=0)
    assert store.read(cache) == {"a": [COST]}
    (cache if part == "file" else cache.parent).chmod(0o777)
    assert store.read(cache) == {}


def test_a_link_is_no_cache(cache: Path, tmp_path: Path) -> None:
    write(cache, age_s=0)
    cache.rename(tmp_path / "elsewhere.json")
    cache.symlink_to(tmp_path / "elsewhere.json")
    assert store.read(cache) == {}


@pytest.mark.parametrize("part", ["file", "folder"])
def test_what_is_anothers_is_no_cache(
    cache: Path, part: str, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give files away")
    write(cache, age_s=0)
    os.chown(cache if part == "file" else cache.parent, NOBODY, NOBODY)
    assert store.read(cache) == {}
    before = cache.read_bytes()
    store.write(cache, {"b": COST})
    assert part == "file" or cache.read_bytes() == before


def test_root_leaves_nothing_in_the_home_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, not_run: Callable[[str], NoReturn]
) -> None:
    if os.geteuid() != 0:
        not_run("only root can give files away")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home))
    path = store.default_path()
    assert path == home / ".cache" / "advisor" / "classes.json"
    store.write(path, {"a": COST})
    assert list(home.iterdir()) == []


def test_a_relative_cache_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.default_path() == tmp_path / ".cache" / "advisor" / "classes.json"


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "advisor" / "classes.json"
    store.write(path, {"a": COST})
    assert store.read(path) == {}
