"""One app's tree as data: whether it is whole, how two differ, two mixed by component. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from .documents import INSTALL_PATH, MANIFEST_PATH, Install, Tree, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

# What is ours beside the daemons' files; it has no rows in install.json.
OURS = ".advisor/"

_ENTRY = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<path>\S+)")
# Lines that no daemon reads, in each grammar of a tree: the header, which differs with any setting,
# and the reasons, which differ with any measurement.
_COMMENT = re.compile(rb"^[ \t]*#.*\n?", re.MULTILINE)


def digest(content: bytes) -> str:
    """The SHA-256 of a file's bytes, as the manifest has it."""
    return hashlib.sha256(content).hexdigest()


def install_of(tree: Tree, where: str) -> Install:
    """What the tree's install.json says; `Refused` where there is none or it is wrong."""
    text = tree.get(INSTALL_PATH)
    if text is None:
        raise refuse(
            "request",
            f"{where}: {INSTALL_PATH} is not there",
            "Render the tree again with the advisor that applies it.",
        )
    return Install.from_json(text)


def manifest_of(tree: Tree) -> dict[str, frozenset[str]]:
    """The digests of each path that the manifest names; none where there is no manifest."""
    text = tree.get(MANIFEST_PATH, b"").decode("utf-8", "replace")
    entries: dict[str, frozenset[str]] = {}
    for match in filter(None, map(_ENTRY.fullmatch, text.splitlines())):
        path = match["path"]
        entries[path] = entries.get(path, frozenset()) | {match["digest"]}
    return entries


def edits(tree: Tree) -> dict[str, str]:
    """What is not as the manifest has it, in words by path; files of ours need no entry."""
    entries = manifest_of(tree)
    found = {path: "is missing" for path in entries if path not in tree}
    for path, content in tree.items():
        if path in entries:
            if digest(content) not in entries[path]:
                found[path] = "was edited"
        elif not path.startswith(OURS):
            found[path] = "is not of the tree"
    return dict(sorted(found.items()))


def check_whole(tree: Tree, app: str) -> Install:
    """What a requested tree's install.json says, once the tree is found to be as rendered.

    Raises `Refused` naming what is missing, edited, or has no row.
    """
    install = install_of(tree, "the tree")
    if install.app != app:
        raise refuse("request", f"the tree is {install.app}'s, the request is for {app}")
    if MANIFEST_PATH not in tree:
        raise refuse("request", f"the tree: {MANIFEST_PATH} is not there", "Render it again.")
    rows = {row.path for row in install.files}
    files = {path for path in tree if not path.startswith(OURS)}
    wrong = [f"{path} {what}" for path, what in edits(tree).items()]
    wrong += [f"{path} has no row in {INSTALL_PATH}" for path in sorted(files - rows)]
    wrong += [f"{path} has a row, and is not there" for path in sorted(rows - files)]
    if wrong:
        raise refuse(
            "request",
            "the tree is not as it was rendered: " + "; ".join(wrong),
            "Run advisor check DIR, and render again.",
        )
    return install


def says_the_same(one: bytes, other: bytes) -> bool:
    r"""Whether two files tell their daemon the same: they differ in comments alone.

    By those no daemon has to read a file again, or every change would restart everything.

    >>> says_the_same(b"# inputs 1\na 1;\n", b"# inputs 2\na 1;\n"), says_the_same(b"a", b"b")
    (True, False)
    """
    return one == other or _COMMENT.sub(b"", one) == _COMMENT.sub(b"", other)


def differing(old: Tree, new: Tree) -> frozenset[str]:
    """The paths that one has and the other has not, or that tell a daemon otherwise.

    >>> sorted(differing({"a/1": b"1", "a/2": b"2"}, {"a/1": b"1", "a/2": b"3", "a/4": b""}))
    ['a/2', 'a/4']
    """
    both = old.keys() & new.keys()
    same = {path for path in both if says_the_same(old[path], new[path])}
    return frozenset({*old, *new} - same)


def shown(old: Tree, new: Tree) -> list[dict[str, str | None]]:
    """The files that differ, if in a comment, before and after; null where one is not there."""
    return [
        {"path": path, "before": _text(old.get(path)), "after": _text(new.get(path))}
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path) and not path.startswith(OURS)
    ]


def mixed(old: Tree | None, new: Tree, components: frozenset[str]) -> dict[str, bytes]:
    """The old tree with these components of the new one, its own description mixed likewise.

    A component is a folder of the tree; one that neither tree has changes nothing. Raises `Refused`
    where that leaves nothing at all.
    """
    before: Tree = old or {}
    there = {_component(path) for path in {*before, *new}} - {OURS.rstrip("/")}
    if not before and not components & there:
        raise refuse(
            "request",
            f"the tree has no {', '.join(sorted(components))}",
            f"It has {', '.join(sorted(there))}.",
        )

    def is_new(path: str) -> bool:
        return _component(path) in components or path.startswith(OURS)

    tree = {path: content for path, content in before.items() if not is_new(path)}
    tree |= {path: content for path, content in new.items() if is_new(path)}
    tree[INSTALL_PATH] = _mixed_install(before, new, components)
    entries = {path: each for path, each in manifest_of(before).items() if not is_new(path)}
    entries |= {path: each for path, each in manifest_of(new).items() if is_new(path)}
    if INSTALL_PATH in entries:
        entries[INSTALL_PATH] = frozenset({digest(tree[INSTALL_PATH])})
    lines = [f"{one}  {path}\n" for path in sorted(entries) for one in sorted(entries[path])]
    tree[MANIFEST_PATH] = "".join(lines).encode()
    return tree


def _mixed_install(old: Tree, new: Tree, components: frozenset[str]) -> bytes:
    before: dict[str, Any] = json.loads(old.get(INSTALL_PATH, b"{}"))
    after: dict[str, Any] = json.loads(new[INSTALL_PATH])

    def chosen(key: str, component: Mapping[str, str]) -> list[Any]:
        kept = [
            each for each in before.get(key, []) if component.get(_name(each)) not in components
        ]
        return kept + [each for each in after[key] if component.get(_name(each)) in components]

    rows = [*before.get("files", []), *after["files"]]
    by_path = {row["path"]: _component(row["path"]) for row in rows}
    # A unit of somebody else, which only has a drop-in of ours, goes with the drop-in.
    by_unit = {_name(unit): "systemd" for unit in [*before.get("units", []), *after["units"]]}
    by_unit |= {row["target"].rpartition("/")[2]: _component(row["path"]) for row in rows}
    mix = {**after, "files": chosen("files", by_path), "units": chosen("units", by_unit)}
    # Without the proxy's own files nothing answers through it: the app itself is asked.
    proxy = after.get("proxy")
    parts = {_component(row["path"]) for row in mix["files"]}
    if proxy is not None and not parts & {proxy, "load_balancer"}:
        mix |= {"health": after.get("direct") if mix["units"] else None, "proxy": None}
    return f"{json.dumps(mix, indent=2)}\n".encode()


def _name(each: Mapping[str, Any]) -> str:
    return str(each.get("path") or each.get("name"))


def _component(path: str) -> str:
    return path.partition("/")[0]


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")
