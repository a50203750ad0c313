"""What the main nginx.conf says for all sites: the modules it loads, and how much nginx takes on.

A module built as dynamic is there only where it is loaded. Read from the files, for `nginx -T`
opens logs and needs root where the files do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host.tree import LIVE, content, under

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.documents.base import Scalar

# nginx's lexical structure (ngx_conf_read_token): remarks, quoted words, bare words, ends.
TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|[^\s{};\\])+""")
MODULE = re.compile(r"(?:.*/)?(?:ngx_)?(?P<name>[A-Za-z0-9_]+?)(?:_module)?\.so")
# Each stands in the main context or in `events`, and nowhere else.
SETTINGS = {"worker_processes", "worker_connections", "worker_rlimit_nofile"}
NUMBER = re.compile(r"[0-9]{1,9}")
MOST_BYTES = 2**20
MOST_FILES = 100


@dataclass(frozen=True)
class Main:
    """The modules loaded, named as `nginx -V` does, and those of `SETTINGS` that are set."""

    modules: list[str]
    settings: dict[str, Scalar]


def read(configuration: Path, root: Path = LIVE) -> Main | None:
    """What a main nginx.conf and what it includes say; None where it may not be read itself.

    An included file that may not be read says nothing that could be seen.
    """
    modules: set[str] = set()
    settings: dict[str, Scalar] = {}
    files, unread = [configuration], set()
    for file in files:  # grows by what is included; each once, so a circle ends
        try:
            text = content(under(root, file), most=MOST_BYTES).decode(errors="replace")
        except OSError:
            unread.add(file)
            continue
        for name, *words in main_directives(text):
            if not words:
                continue
            if name == "load_module" and (match := MODULE.fullmatch(words[0])):
                modules.add(match["name"])
            if name in SETTINGS:
                settings[name] = int(words[0]) if NUMBER.fullmatch(words[0]) else words[0]
            if name == "include":
                more = _included(configuration.parent / words[0], root)
                files += [path for path in more if path not in files][: MOST_FILES - len(files)]
    return None if configuration in unread else Main(sorted(modules), settings)


def main_directives(text: str) -> Iterator[list[str]]:
    """The directives of the main context and of `events`, as words without their quotes.

    >>> list(main_directives("load_module 'a.so'; http { include b; } events { c 1; } # d;"))
    [['load_module', 'a.so'], ['c', '1']]
    """
    blocks: list[str] = []
    words: list[str] = []
    for match in TOKEN.finditer(text):
        piece = match[0]
        if piece == "{":
            blocks.append(" ".join(words))
        elif piece == "}":
            blocks = blocks[:-1]
        elif piece != ";":
            if not piece.startswith("#"):
                words.append(piece[1:-1] if piece[0] in "\"'" else piece)
            continue
        elif words and blocks in ([], ["events"]):
            yield words
        words = []


def _included(pattern: Path, root: Path) -> list[Path]:
    """The files that an `include` names, by their paths on their own host."""
    if "\0" in str(pattern):  # no file has such a name, and the kernel's calls refuse it
        return []
    # Path.glob raises for patterns that glob(3), as nginx calls it, merely does not match.
    found = glob(str(under(root, pattern)))  # noqa: PTH207
    return sorted(LIVE / Path(path).relative_to(root) for path in found)
