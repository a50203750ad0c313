"""Every call that changes the disk: whole or not at all, and still there after a power cut.

A rename replaces in one step, but it lasts only once the file and then its folder are synced
(rename(2), fsync(2)). Names in the making start with a dot and end in `.advisor`: no daemon's
`*.conf` matches them, and systemd passes hidden files over.
"""

# Each change of the disk is one call of `os` here: so tests can make any one of them fail.
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH211

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


def making(path: Path) -> Path:
    """Where a path's next content is made, beside it.

    >>> str(making(Path("/etc/nginx/conf.d/shop.conf")))
    '/etc/nginx/conf.d/.shop.conf.advisor'
    """
    return path.with_name(f".{path.name}.advisor")


def write(
    path: Path,
    content: bytes,
    *,
    mode: int,
    owner: int = -1,
    group: int = -1,
    modified_ns: int | None = None,
) -> None:
    """A new file, synced. Readable by nobody else until its owner and mode are right."""
    descriptor = os.open(path, _NEW, 0o600)
    try:
        _write_all(descriptor, content)
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
        if modified_ns is not None:
            os.utime(descriptor, ns=(modified_ns, modified_ns))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(
    path: Path,
    content: bytes,
    *,
    mode: int,
    owner: int = -1,
    group: int = -1,
    modified_ns: int | None = None,
) -> None:
    """A file in the place of whatever file or link is there, in one step."""
    with _made(path) as new:
        write(new, content, mode=mode, owner=owner, group=group, modified_ns=modified_ns)
        rename(new, path)


def replace_link(path: Path, text: str) -> None:
    """A symbolic link in the place of whatever file or link is there, in one step."""
    with _made(path) as new:
        os.symlink(text, new)
        rename(new, path)


@contextmanager
def _made(path: Path) -> Iterator[Path]:
    """Where to make what takes the place of `path`; nothing is left there where that fails."""
    new = making(path)
    discard(new)
    try:
        yield new
    except OSError:
        # Half a file on a full disk is room that others could have.
        with suppress(OSError):
            os.unlink(new)
        raise


def rename(old: Path, new: Path) -> None:
    """Rename within a folder, for good."""
    os.rename(old, new)
    sync(new.parent)


def append(path: Path, line: bytes) -> None:
    """A line at a file's end, synced; what a cut left there half is ended first."""
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        _write_all(descriptor, (b"\n" if is_cut else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync(path.parent)


def discard(path: Path) -> None:
    """Remove a file or link, if it is there."""
    if os.path.lexists(path):
        os.unlink(path)
        sync(path.parent)


def make_folder(path: Path, *, mode: int, owner: int = -1, group: int = -1) -> bool:
    """A folder with this mode; whether it was not there before.

    Two who ask at once both find none, and one of them makes it.
    """
    is_new = not path.is_dir()
    if is_new:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not path.is_dir():
                raise
            is_new = False
    found = path.stat()
    if (owner, group) != (-1, -1):
        os.chown(path, owner, group)
    if stat.S_IMODE(found.st_mode) != mode:
        os.chmod(path, mode)
    if is_new:
        sync(path.parent)
    return is_new


def make_folders(path: Path) -> None:
    """A folder that everybody may look into, and those above it, where they are not there."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            make_folder(folder, mode=0o755)


def remove_empty(path: Path) -> None:
    """Remove a folder, unless something is in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return
    sync(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, if it is there; no link in it is followed."""
    if not os.path.lexists(path):
        return
    for entry in sorted(os.scandir(path), key=lambda each: each.name):
        if entry.is_dir(follow_symlinks=False):
            remove_tree(Path(entry.path))
        else:
            os.unlink(entry.path)
    os.rmdir(path)


def sync(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
