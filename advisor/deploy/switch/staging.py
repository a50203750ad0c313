"""Seeing the host as it will be: the staged generation in its place, for one process alone.

A child of this process gets a mount namespace of its own (unshare(2), mount(2)). There each folder
that holds a link of ours is a copy on a tmpfs, with the links as they will be, and /etc/advisor is
one whose `current` is the staged generation. Nothing of it is seen by anybody else, and all of it
goes with the child. What is not there yet is made where it will be. Copies of few small folders,
and no overlay of all /etc: what is mounted below /etc stays (resolv.conf in a container), and a
root that is itself an overlay on an overlay works.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .commands import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Answer = TypeVar("Answer")

# linux/sched.h and linux/mount.h
CLONE_NEWNS = 0x00020000
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18


class NotStaged(Exception):
    """The staged tree cannot be put in its place, even for one process; the text says why."""


def within(
    ask: Callable[[], Answer], *, generation: Path, current: Path, links: Mapping[Path, Path]
) -> Answer:
    """What `ask` answers where `current` is the generation and the links are as given.

    `links` are all links through `current` that the host will have, each with what it leads to.
    The answer has to be something that pickles. Raises `NotStaged`.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, ask, generation, current, links)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    if not content:
        raise NotStaged("the process that checks the staged tree ended without a word")
    answer: Answer | NotStaged = pickle.loads(content)  # noqa: S301 - from our own child, by our own pipe
    if isinstance(answer, NotStaged):
        raise answer
    return answer


def _answer(
    writer: int,
    ask: Callable[[], Any],
    generation: Path,
    current: Path,
    links: Mapping[Path, Path],
) -> None:
    """The child: it ends here, whatever happens, and runs nothing of its parent's."""
    try:
        try:
            # What is made here a daemon's own user is to see, as on the host itself.
            os.umask(0o022)
            _enter(generation, current, links)
            answer = ask()
        except (OSError, NotStaged) as error:
            answer = NotStaged(str(error))
        with os.fdopen(writer, "wb") as stream:
            stream.write(pickle.dumps(answer))
    except Exception:  # noqa: BLE001 - a fault of ours goes to the log; the parent hears nothing
        traceback.print_exc()
    finally:
        os._exit(0)


def _enter(generation: Path, current: Path, links: Mapping[Path, Path]) -> None:
    _libc(_unshare(CLONE_NEWNS), "unshare")
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    staged = os.open(generation, os.O_PATH | os.O_DIRECTORY)
    below = current.parent
    folders = {link.parent for link in links if below not in link.parents}
    for folder in sorted({_standing(each) for each in (*folders, below) if not each.is_dir()}):
        _reflected(folder)
    for each in (*folders, below):
        each.mkdir(parents=True, exist_ok=True)
    _mount("tmpfs", below, "tmpfs", 0, "mode=0755")
    current.mkdir()
    _mount(f"/proc/self/fd/{staged}", current, None, MS_BIND)
    for folder in _tops(folders):
        _copied(folder)
        for link in folder.rglob("*"):
            if link.is_symlink() and current in link.readlink().parents:
                link.unlink()
    for link, destination in links.items():
        if below not in link.parents:
            if link.is_symlink() or link.is_file():
                link.unlink()
            link.symlink_to(destination)


def _standing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _tops(folders: Iterable[Path]) -> list[Path]:
    """Those that lie in none of the others."""
    found = {folder.resolve() for folder in folders}
    return sorted(folder for folder in found if not found & set(folder.parents))


def _copied(folder: Path) -> None:
    """A tmpfs with the folder's own content in its place."""
    original = _covered(folder)
    done = run(["cp", "--archive", "--", f"{original}/.", f"{folder}/"])
    if not done.is_good:
        raise NotStaged(f"{folder} cannot be copied: {' '.join(done.said)}")


def _reflected(folder: Path) -> None:
    """A tmpfs with the very things of the folder, none of them copied: room for one more.

    It may be as large as /var/lib.
    """
    for entry in _covered(folder).iterdir():
        place = folder / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
            continue
        if entry.is_dir():
            place.mkdir()
        else:
            place.touch()
        _mount(str(entry), place, None, MS_BIND | MS_REC)


def _covered(folder: Path) -> Path:
    """Lay an empty tmpfs, with the same rights, over a folder; where its content is still found."""
    about = folder.stat()
    original = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    mode = f"mode={about.st_mode & 0o7777:o},uid={about.st_uid},gid={about.st_gid}"
    _mount("tmpfs", folder, "tmpfs", 0, mode)
    return Path(f"/proc/{os.getpid()}/fd/{original}")


def _unshare(flags: int) -> int:
    return int(ctypes.CDLL(None, use_errno=True).unshare(flags))


def _mount(source: str, target: Path | str, kind: str | None, flags: int, data: str = "") -> None:
    words = [word.encode() if word else None for word in (source, str(target), kind)]
    library = ctypes.CDLL(None, use_errno=True)
    done = library.mount(*words, ctypes.c_ulong(flags), data.encode() or None)
    _libc(int(done), f"mount {target}")


def _libc(code: int, what: str) -> None:
    if code != 0:
        error = ctypes.get_errno()
        raise NotStaged(f"{what}: {os.strerror(error)}")
