"""Writing a rendered tree: whole files, nothing of anybody else's, and nothing twice.

`.advisor/manifest` holds the SHA-256 of every file as rendered, in the format of sha256sum
(`cd DIR && sha256sum -c .advisor/manifest` shows hand edits). A file that differs from its
entry, or has none, is somebody's work and is not overwritten.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from advisor.errors import InvalidInput
from advisor.files import MAX_DOCUMENT_BYTES, parse, write_atomic
from advisor.render.rendering import RECOMMENDATION_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from advisor.render.rendering import File

MANIFEST_PATH = ".advisor/manifest"

# A manifest is a file too: an entry that leads out of the tree is no entry of ours.
_ENTRY = re.compile(
    r"(?P<digest>[0-9a-f]{64})  (?P<path>\.?[a-z][a-z_-]*(?:/[A-Za-z0-9][A-Za-z0-9._@+-]*){1,3})"
)

State = Literal["written", "unchanged", "removed"]
Entries = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Change:
    """What becomes of one file of the tree; `content` is null where it is removed."""

    path: str
    state: State
    content: bytes | None


@dataclass(frozen=True)
class Standing:
    """One path of a tree: what belongs there, what is there, and the manifest's digests of it.

    `wanted` is null for what an earlier rendering left and this one does not have. `present` is
    the file's bytes, words for what is in its place instead, or null where nothing is.
    """

    path: str
    wanted: bytes | None
    present: bytes | str | None
    digests: frozenset[str]

    @property
    def is_edited(self) -> bool:
        """Whether the bytes there are not those that were rendered."""
        return isinstance(self.present, bytes) and _sha256(self.present) not in self.digests


def standings(files: Sequence[File], directory: Path, known: Entries) -> list[Standing]:
    """How each path stands that these files or the manifest's entries name."""
    return [
        Standing(path, content, present(directory / path, directory), known.get(path, frozenset()))
        for path, content in _wanted(files, known).items()
    ]


def digests(files: Iterable[File]) -> Entries:
    """What a manifest of these files holds."""
    return {file.path: frozenset({_sha256(file.content)}) for file in files}


def plan(files: Sequence[File], directory: Path, *, overwrite: bool = False) -> list[Change]:
    """What writing these files would do, before anything is done.

    Files of an earlier rendering that are rendered no more are removed. Raises
    `InvalidInput` naming every file in the way: edited by hand, not ours, or no plain file;
    or naming the other app whose tree this is. With `overwrite`, only what is no plain file
    is in the way.
    """
    _check_folder(directory)
    if not overwrite:
        _check_app(files, directory)
    in_the_way: list[str] = []
    changes: list[Change] = []
    for one in standings(files, directory, read_manifest(directory)):
        path, content = one.path, one.wanted
        target = directory / path
        if one.present is None:
            if content is not None:
                changes.append(Change(path, "written", content))
        elif isinstance(one.present, str):
            in_the_way.append(f"{target}: {one.present}")
        elif one.present == content:
            changes.append(Change(path, "unchanged", content))
        elif not overwrite and one.is_edited:
            in_the_way.append(f"{target}: {'edited by hand' if one.digests else 'not ours'}")
        else:
            changes.append(Change(path, "removed" if content is None else "written", content))
    if in_the_way:
        raise InvalidInput(
            "\n".join(["nothing was written, for these would be lost:", *in_the_way]),
            remedy="Move them away, choose another folder, or give --overwrite.",
        )
    return changes


def write(files: Sequence[File], directory: Path, *, overwrite: bool = False) -> list[Change]:
    """Write the tree, touching only what changes; raises `InvalidInput` as `plan` does.

    The manifest first takes in the new entries beside the old, then drops the old ones: an
    interruption leaves no file that looks edited.
    """
    changes = plan(files, directory, overwrite=overwrite)
    final = {
        change.path: frozenset({_sha256(change.content)})
        for change in changes
        if change.content is not None
    }
    if any(change.state != "unchanged" for change in changes):
        known = read_manifest(directory)
        both = {path: known.get(path, frozenset()) | final.get(path, frozenset()) for path in known}
        _write_manifest(directory, final | both)
        for change in changes:
            _carry_out(change, directory)
    _write_manifest(directory, final)
    return changes


def _wanted(files: Sequence[File], known: Entries) -> dict[str, bytes | None]:
    """Content by path; null for what an earlier rendering left and this one does not have."""
    wanted: dict[str, bytes | None] = {file.path: file.content for file in files}
    return wanted | {path: None for path in sorted(known) if path not in wanted}


def _check_folder(directory: Path) -> None:
    parent = directory.absolute().parent
    try:
        if directory.is_dir():
            return
        if directory.exists():
            raise InvalidInput(f"-o {directory}: is a file, not a folder")
        if not parent.is_dir():
            raise InvalidInput(f"-o {directory}: the folder {parent} does not exist")
    except OSError as error:
        raise InvalidInput(f"-o {directory}: {error.strerror}") from None


def _check_app(files: Sequence[File], directory: Path) -> None:
    """A tree is one app's: another app's files would be taken for this one's old ones."""
    kept = present(directory / RECOMMENDATION_PATH, directory)
    wanted = next((file.content for file in files if file.path == RECOMMENDATION_PATH), None)
    if wanted is None or not isinstance(kept, bytes) or kept == wanted:
        return
    theirs, ours = _app_of(kept), _app_of(wanted)
    if theirs not in {None, ours}:
        raise InvalidInput(
            f"-o {directory}: holds the files of the app {theirs!r}, these are of {ours!r}",
            remedy="Choose a folder for each app, or give --overwrite.",
        )


def _app_of(recommendation: bytes) -> str | None:
    try:
        data = parse(recommendation.decode(), name=RECOMMENDATION_PATH, is_json=False)
        return str(data["app"]["name"])
    except (InvalidInput, UnicodeDecodeError, LookupError, TypeError):
        return None


def present(target: Path, directory: Path) -> bytes | str | None:
    """A file's bytes, what is in its place instead, or null where nothing is."""
    try:
        return _blocked_folder(target.parent, directory) or _content(target)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _blocked_folder(folder: Path, directory: Path) -> str | None:
    """What stands in the way between the tree's top and a file of it."""
    step = directory
    for name in folder.relative_to(directory).parts:
        step = step / name
        if step.is_symlink():
            return f"{step} is a symbolic link"
        if step.is_file():
            return f"{step} is a file, not a folder"
    return None


def _content(target: Path) -> bytes | str | None:
    if target.is_symlink():
        return "is a symbolic link"
    if target.is_file():
        with target.open("rb") as stream:
            content = stream.read(MAX_DOCUMENT_BYTES + 1)
        too_large = len(content) > MAX_DOCUMENT_BYTES
        return f"is larger than {MAX_DOCUMENT_BYTES // 1024**2} MiB" if too_large else content
    if target.is_dir():
        return "is a folder"
    return "is no plain file" if target.exists() else None


def _carry_out(change: Change, directory: Path) -> None:
    target = directory / change.path
    if change.state == "removed":
        target.unlink()
    elif change.state == "written" and change.content is not None:
        _make_folder(target.parent)
        write_atomic(target, change.content)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder}: cannot be made: {error.strerror}") from None


def read_manifest(directory: Path) -> Entries:
    """The digests of each path that the manifest names; none where there is no manifest."""
    found = present(directory / MANIFEST_PATH, directory)
    text = found.decode("utf-8", "replace") if isinstance(found, bytes) else ""
    entries: Entries = {}
    for match in filter(None, map(_ENTRY.fullmatch, text.splitlines())):
        path = match["path"]
        entries[path] = entries.get(path, frozenset()) | {match["digest"]}
    return entries


def _write_manifest(directory: Path, entries: Entries) -> None:
    lines = [f"{digest}  {path}" for path, digests in entries.items() for digest in sorted(digests)]
    content = _joined(sorted(lines, key=lambda line: line[66:]))
    target = directory / MANIFEST_PATH
    there = present(target, directory)
    if isinstance(there, str):
        raise InvalidInput(f"{target}: {there}")
    if there != content:
        _make_folder(target.parent)
        write_atomic(target, content)


def _joined(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
