"""What stood where ours stands now: kept by the generation that took its place, to be put back.

`saved/<n>/` holds a copy of each file under its own path, and `replaced.json` says of every path
that generation n took what stood there, also where it was nothing: so the latest entry of a path
is what goes back there when no generation wants it any more. Nothing of it is ever pruned: these
are an administrator's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from . import disk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from .layout import Layout

LIST = "replaced.json"
# Where dpkg keeps the digests of the configuration files that it has installed (dpkg-query(1)).
DPKG_STATUS = "/var/lib/dpkg/status"


@dataclass(frozen=True)
class Stood:
    """What stands at a path: `absent`, a `link` to `text`, a `file`, a `folder`, `other`.

    `saved` is the generation under which a file's copy is kept, `made` the folders that have to
    be made where nothing is.
    """

    kind: str
    text: str = ""
    saved: int | None = None
    made: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stood:
        """As `asdict` wrote it."""
        return cls(data["kind"], data["text"], data["saved"], tuple(data["made"]))


ABSENT = Stood("absent")


def look(layout: Layout, target: str) -> Stood:
    """What stands at a path of the host now; a link is not followed."""
    path = layout.at(target)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        above = [str(each) for each in path.parents if not os.path.lexists(each)]
        return Stood("absent", made=tuple(_unrooted(layout, each) for each in reversed(above)))
    except NotADirectoryError:
        return Stood("other")
    if stat.S_ISLNK(mode):
        return Stood("link", str(path.readlink()))
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder"}
    return Stood(kinds.get(stat.S_IFMT(mode), "other"))


def is_the_same(layout: Layout, target: str, stood: Stood) -> bool:
    """Whether that, byte for byte, is what stands there now."""
    found = look(layout, target)
    if found.kind != stood.kind or found.text != stood.text:
        return False
    if stood.kind != "file" or stood.saved is None:
        return True
    return layout.at(target).read_bytes() == copy_of(layout, stood.saved, target).read_bytes()


def copy_of(layout: Layout, number: int, target: str) -> Path:
    """Where the copy of a file that this generation replaced is kept."""
    return layout.saved / str(number) / target.lstrip("/")


def save(
    layout: Layout, number: int, replaced: Mapping[str, Stood], edited: Iterable[str] = ()
) -> None:
    """Keep what a generation is about to replace, and edited files of the one before.

    Writes nothing where there is nothing to keep.
    """
    files = [target for target, stood in replaced.items() if stood.kind == "file"]
    files += sorted(edited)
    if not replaced and not files:
        return
    folder = layout.saved / str(number)
    disk.remove_tree(folder)
    disk.make_folder(folder, mode=0o700)
    for target in files:
        path = copy_of(layout, number, target)
        for above in reversed(list(path.relative_to(folder).parents)[:-1]):
            disk.make_folder(folder / above, mode=0o700)
        disk.write(path, layout.at(target).read_bytes(), **attributes(layout.at(target)))
        disk.sync(path.parent)
    listed = {target: asdict(stood) for target, stood in replaced.items()}
    disk.replace(folder / LIST, json.dumps(listed, indent=1).encode(), mode=0o600)


def put_back(layout: Layout, target: str, stood: Stood) -> None:
    """Make that stand at a path again, in one step, whatever file or link is there."""
    path = layout.at(target)
    if stood.kind == "link":
        disk.replace_link(path, stood.text)
    elif stood.kind == "file" and stood.saved is not None:
        copy = copy_of(layout, stood.saved, target)
        disk.replace(path, copy.read_bytes(), **attributes(copy))
    else:
        disk.discard(path)
        for folder in reversed(stood.made):
            disk.remove_empty(layout.at(folder))


def latest(layout: Layout, target: str) -> Stood:
    """What stood at a path before it became ours the last time; absent where nothing is known."""
    for number in reversed(numbers(layout)):
        listed = _listed(layout.saved / str(number) / LIST)
        if target in listed:
            return Stood.from_json(listed[target])
    return ABSENT


def numbers(layout: Layout) -> list[int]:
    """The generations that replaced something."""
    if not layout.saved.is_dir():
        return []
    return sorted(int(each.name) for each in layout.saved.iterdir() if each.name.isdecimal())


def discard(layout: Layout, number: int) -> None:
    """Forget what a generation would have replaced; it stands where it stood."""
    disk.remove_tree(layout.saved / str(number))


def is_as_shipped(layout: Layout, target: str) -> bool:
    """Whether a file is its package's own configuration file, which nobody has edited."""
    try:
        status = layout.at(DPKG_STATUS).read_text(encoding="utf-8", errors="replace")
        content = layout.at(target).read_bytes()
    except OSError:
        return False
    shipped = hashlib.md5(content, usedforsecurity=False).hexdigest()
    entries = (line.split() for line in status.splitlines() if line.startswith(f" {target} "))
    return any(entry[:2] == [target, shipped] for entry in entries)


def attributes(path: Path) -> dict[str, int]:
    """A file's mode, owner, group and time, as `disk.write` takes them."""
    found = path.stat()
    return {
        "mode": stat.S_IMODE(found.st_mode),
        "owner": found.st_uid,
        "group": found.st_gid,
        "modified_ns": found.st_mtime_ns,
    }


def _listed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _unrooted(layout: Layout, path: str) -> str:
    return f"/{os.path.relpath(path, layout.root)}"
