"""The host as it will be, for one process alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.deploy.switch.staging import NotStaged, within

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def etc(tmp_path: Path, not_run: Callable[[str], NoReturn]) -> Path:
    """A host with two generations, the first in use, and a neighbour's files."""
    if os.geteuid() != 0:
        not_run("only root gets a mount namespace")
    etc = tmp_path / "etc"
    for number in ("1", "2"):
        tree = etc / "advisor/generations" / number / "shop/nginx"
        tree.mkdir(parents=True)
        (tree / "shop.conf").write_text(f"generation {number}\n")
    (etc / "advisor/current").symlink_to("generations/1")
    (etc / "nginx/conf.d").mkdir(parents=True)
    (etc / "nginx/conf.d/other.conf").write_text("theirs\n")
    (etc / "nginx/conf.d/theirs.conf").symlink_to("../other-place")
    os.chown(etc / "nginx/conf.d/other.conf", 65534, 65534)
    link = etc / "nginx/conf.d/shop.conf"
    link.symlink_to(etc / "advisor/current/shop/nginx/shop.conf")
    return etc


def everything(etc: Path) -> dict[str, tuple[int, int, str]]:
    found = {}
    for path in sorted(etc.rglob("*")):
        about = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else ""
        if path.is_file() and not path.is_symlink():
            content = path.read_text()
        found[str(path)] = (about.st_mtime_ns, about.st_ino, content)
    return found


def test_the_staged_tree_is_in_its_place_inside_and_nowhere_else(etc: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    before = everything(etc)
    leads = etc / "advisor/current/shop/nginx/shop.conf"
    links = {etc / "nginx/conf.d/shop.conf": leads, etc / "caddy/sites/shop.caddy": leads}

    def ask() -> tuple[str, str, list[str], int]:
        folder = etc / "nginx/conf.d"
        names = sorted(path.name for path in folder.iterdir())
        text = (folder / "shop.conf").read_text()
        made = (etc / "caddy/sites/shop.caddy").read_text()
        (folder / "written-inside").write_text("gone with the process\n")
        return text, made, names, (folder / "other.conf").stat().st_uid

    found = within(
        ask, generation=etc / "advisor/generations/2", current=etc / "advisor/current", links=links
    )
    names = ["other.conf", "shop.conf", "theirs.conf"]
    assert found == ("generation 2\n", "generation 2\n", names, 65534)
    assert everything(etc) == before
    assert Path("/proc/self/mounts").read_text() == mounts


def test_a_daemons_own_user_can_look_into_what_is_made_inside(etc: Path) -> None:
    """Under a umask that keeps others out, as the switch's own unit has it."""
    leads = etc / "advisor/current/shop/nginx/shop.conf"
    target = etc / "caddy/sites/shop.caddy"
    umask = os.umask(0o077)
    try:
        found = within(
            lambda: target.parent.stat().st_mode & 0o777,
            generation=etc / "advisor/generations/2",
            current=etc / "advisor/current",
            links={target: leads},
        )
    finally:
        os.umask(umask)
    assert found == 0o755


def test_links_of_ours_that_go_are_gone_inside(etc: Path) -> None:
    leads = etc / "advisor/current/shop/nginx/shop.conf"
    names = within(
        lambda: sorted(path.name for path in (etc / "nginx/conf.d").iterdir()),
        generation=etc / "advisor/generations/2",
        current=etc / "advisor/current",
        links={etc / "nginx/conf.d/renamed.conf": leads},
    )
    assert names == ["other.conf", "renamed.conf", "theirs.conf"]


def test_what_is_not_there_yet_is_made_inside_and_its_neighbours_are_not_copied(etc: Path) -> None:
    generation = etc.parent / "generation"
    (etc / "advisor").rename(etc.parent / "elsewhere")
    (etc.parent / "elsewhere/generations/2").rename(generation)
    (etc / "large").mkdir()
    (etc / "large/file").write_text("theirs\n")
    (etc / "link").symlink_to("large")
    before = everything(etc)
    target = etc / "caddy/sites/shop.caddy"

    def ask() -> tuple[str, str, int, int]:
        return (
            target.read_text(),
            (etc / "link/file").read_text(),
            (etc / "large/file").stat().st_ino,
            target.parent.stat().st_mode & 0o777,
        )

    found = within(
        ask,
        generation=generation,
        current=etc / "advisor/current",
        links={target: etc / "advisor/current/shop/nginx/shop.conf"},
    )
    inode = (etc / "large/file").stat().st_ino
    assert found == ("generation 2\n", "theirs\n", inode, 0o755)
    assert everything(etc) == before


def test_an_administrators_file_in_the_place_is_out_of_the_way_inside(etc: Path) -> None:
    target = etc / "nginx/conf.d/other.conf"
    leads = etc / "advisor/current/shop/nginx/shop.conf"
    text = within(
        target.read_text,
        generation=etc / "advisor/generations/2",
        current=etc / "advisor/current",
        links={target: leads},
    )
    assert text == "generation 2\n"
    assert target.read_text() == "theirs\n"


def test_what_cannot_be_staged_says_why(etc: Path) -> None:
    with pytest.raises(NotStaged, match="No such file or directory"):
        within(
            lambda: None,
            generation=etc / "advisor/generations/9",
            current=etc / "advisor/current",
            links={},
        )


def test_a_fault_inside_is_an_error_outside(etc: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise LookupError("a fault of ours")

    with pytest.raises(NotStaged, match="without a word"):
        within(
            ask,
            generation=etc / "advisor/generations/2",
            current=etc / "advisor/current",
            links={},
        )
    assert "a fault of ours" in capfd.readouterr().err
