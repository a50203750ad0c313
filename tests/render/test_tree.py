from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from advisor.errors import InvalidInput
from advisor.render import File, render, write
from advisor.render import tree as tree_module
from advisor.render.tree import MANIFEST_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Recommendation

    Make = Callable[..., Recommendation]

CONF = Path("gunicorn/gunicorn.conf.py")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def states(folder: Path, files: list[File], *, overwrite: bool = False) -> dict[str, str]:
    return {change.path: change.state for change in write(files, folder, overwrite=overwrite)}


def test_the_tree_holds_the_files_and_their_digests(make: Make, tmp_path: Path) -> None:
    files = render(make())
    assert set(states(tmp_path / "deploy", files).values()) == {"written"}
    written = contents(tmp_path / "deploy")
    manifest = written.pop(MANIFEST_PATH).decode()
    assert written == {file.path: file.content for file in files}
    assert manifest.splitlines() == [
        f"{hashlib.sha256(content).hexdigest()}  {path}"
        for path, content in sorted(written.items())
    ]
    subprocess.run(["sha256sum", "-c", MANIFEST_PATH], cwd=tmp_path / "deploy", check=True)


def test_rendering_again_touches_nothing(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    before = {path: path.stat() for path in tmp_path.rglob("*")}
    assert set(states(tmp_path, render(make())).values()) == {"unchanged"}
    after = {path: path.stat() for path in tmp_path.rglob("*")}
    assert {p: (s.st_mtime_ns, s.st_ino) for p, s in after.items()} == {
        p: (s.st_mtime_ns, s.st_ino) for p, s in before.items()
    }


def test_a_changed_value_rewrites_its_files_only(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    old = make(why={"gunicorn.workers": "reworded"})
    changed = states(tmp_path, render(old))
    assert {path for path, state in changed.items() if state == "written"} == {
        str(CONF),
        ".advisor/recommendation.yml",
    }


def test_a_hand_edit_is_not_overwritten_unasked(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    (tmp_path / CONF).write_text("workers = 7\n")
    before = contents(tmp_path)
    with pytest.raises(InvalidInput, match=re.escape(f"{CONF}: edited by hand")):
        write(render(make(settings={"gunicorn.workers": 3})), tmp_path)
    assert contents(tmp_path) == before
    assert states(tmp_path, render(make()), overwrite=True)[str(CONF)] == "written"


def test_a_file_that_is_not_ours_is_not_overwritten_unasked(make: Make, tmp_path: Path) -> None:
    (tmp_path / CONF.parent).mkdir()
    (tmp_path / CONF).write_text("workers = 7\n")
    with pytest.raises(InvalidInput, match=re.escape(f"{CONF}: not ours")):
        write(render(make()), tmp_path)
    assert contents(tmp_path) == {str(CONF): b"workers = 7\n"}


def test_what_stands_beside_is_left_alone(make: Make, tmp_path: Path) -> None:
    (tmp_path / "README").write_text("mine")
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "other.conf").write_text("mine")
    write(render(make()), tmp_path)
    assert (tmp_path / "README").read_text() == "mine"
    assert (tmp_path / "nginx" / "other.conf").read_text() == "mine"


def test_what_is_rendered_no_more_is_removed(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    fewer = render(make(intent={"manage": ["server", "systemd"]}))
    assert states(tmp_path, fewer)["nginx/shop.conf"] == "removed"
    assert not (tmp_path / "nginx/shop.conf").exists()
    assert b"nginx/" not in (tmp_path / MANIFEST_PATH).read_bytes()


def test_what_is_rendered_no_more_but_edited_is_in_the_way(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    (tmp_path / "nginx/shop.conf").write_text("mine")
    fewer = render(make(intent={"manage": ["server", "systemd"]}))
    with pytest.raises(InvalidInput, match=r"nginx/shop\.conf: edited by hand"):
        write(fewer, tmp_path)
    assert (tmp_path / "nginx/shop.conf").read_text() == "mine"


def test_another_apps_tree_is_in_the_way(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    before = contents(tmp_path)
    other = render(make(app={"name": "blog"}, intent={"app.name": "blog"}))
    with pytest.raises(InvalidInput, match="holds the files of the app 'shop'"):
        write(other, tmp_path)
    assert contents(tmp_path) == before
    assert states(tmp_path, other, overwrite=True)["nginx/shop.conf"] == "removed"


def test_a_damaged_recommendation_in_the_tree_is_a_hand_edit(make: Make, tmp_path: Path) -> None:
    write(render(make()), tmp_path)
    (tmp_path / ".advisor/recommendation.yml").write_bytes(b"\xff: [")
    with pytest.raises(InvalidInput, match=r"recommendation\.yml: edited by hand"):
        write(render(make()), tmp_path)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_symbolic_link_is_never_followed(make: Make, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "gunicorn.conf.py").write_text("theirs")
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    if place == "folder":
        (deploy / "gunicorn").symlink_to(outside)
    else:
        (deploy / "gunicorn").mkdir()
        (deploy / CONF).symlink_to(outside / "gunicorn.conf.py")
    with pytest.raises(InvalidInput, match="symbolic link"):
        write(render(make()), deploy, overwrite=True)
    assert (outside / "gunicorn.conf.py").read_text() == "theirs"


def test_a_folder_or_a_pipe_in_a_files_place_is_never_replaced(make: Make, tmp_path: Path) -> None:
    (tmp_path / CONF).mkdir(parents=True)
    (tmp_path / "nginx").mkdir()
    os.mkfifo(tmp_path / "nginx/shop.conf")
    with pytest.raises(InvalidInput) as refused:
        write(render(make()), tmp_path, overwrite=True)
    assert "is a folder" in refused.value.message
    assert "is no plain file" in refused.value.message


def test_a_file_in_a_folders_place_is_named(make: Make, tmp_path: Path) -> None:
    (tmp_path / "gunicorn").write_text("mine")
    with pytest.raises(InvalidInput, match="gunicorn is a file, not a folder"):
        write(render(make()), tmp_path, overwrite=True)


def test_the_output_has_to_be_a_folder_in_one_that_exists(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InvalidInput, match="is a file, not a folder"):
        write(render(make()), tmp_path / "file")
    with pytest.raises(InvalidInput, match="does not exist"):
        write(render(make()), tmp_path / "no" / "deploy")


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside", ".advisor/../x"])
def test_a_manifest_leads_nowhere_else(make: Make, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    digest = hashlib.sha256(b"theirs").hexdigest()
    deploy = tmp_path / "deploy"
    (deploy / ".advisor").mkdir(parents=True)
    (deploy / MANIFEST_PATH).write_text(f"{digest}  {path}\nnonsense\n")
    write(render(make()), deploy)
    assert outside.read_text() == "theirs"
    assert path.encode() not in (deploy / MANIFEST_PATH).read_bytes()


DROPIN = "systemd/Web_1@.service.d/advisor.conf"


def test_a_file_below_a_components_own_folder_is_known_again(tmp_path: Path) -> None:
    dropin = File(DROPIN, b"[Service]\n", None)
    assert states(tmp_path, [dropin]) == {DROPIN: "written"}
    assert states(tmp_path, [File(DROPIN, b"[Unit]\n", None)]) == {DROPIN: "written"}
    assert states(tmp_path, []) == {DROPIN: "removed"}
    (tmp_path / DROPIN).parent.rmdir()
    (tmp_path / DROPIN).parent.symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match=r"service\.d is a symbolic link"):
        states(tmp_path, [dropin])


def test_a_manifest_that_is_a_pipe_is_not_waited_for(make: Make, tmp_path: Path) -> None:
    (tmp_path / ".advisor").mkdir()
    os.mkfifo(tmp_path / MANIFEST_PATH)
    with pytest.raises(InvalidInput, match="manifest: is no plain file"):
        write(render(make()), tmp_path)


@pytest.mark.parametrize("steps", range(6))
def test_an_interruption_leaves_nothing_that_looks_edited(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    write(render(make()), tmp_path)
    real, done = tree_module.write_atomic, iter(range(steps))

    def cut_off(path: Path, content: bytes) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        real(path, content)

    changed = render(make(settings={"gunicorn.workers": 3}))
    with monkeypatch.context() as patch:
        patch.setattr(tree_module, "write_atomic", cut_off)
        with pytest.raises(KeyboardInterrupt):
            write(changed, tmp_path)
    write(render(make(settings={"gunicorn.workers": 4})), tmp_path)
    assert b"workers = 4" in (tmp_path / CONF).read_bytes()
