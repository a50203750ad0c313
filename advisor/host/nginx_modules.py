"""The modules that nginx's configuration loads: a module built as dynamic is there only so.

Read from the files, for `nginx -T` opens logs and needs root where the files do not.
"""

from __future__ import annotations

import re
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.host.tree import LIVE, content, under

if TYPE_CHECKING:
    from collections.abc import Iterator

# nginx's lexical structure (ngx_conf_read_token): remarks, quoted words, bare words, ends.
TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|(?:\\.|[^\s{};\\])+""")
MODULE = re.compile(r"(?:.*/)?(?:ngx_)?(?P<name>[A-Za-z0-9_]+?)(?:_module)?\.so")
DEPTH = {"{": 1, "}": -1, ";": 0}
MOST_BYTES = 2**20
MOST_FILES = 100


def loaded(configuration: Path, root: Path = LIVE) -> list[str]:
    """The modules that a main nginx.conf and what it includes load, named as `nginx -V` does.

    A file that may not be read loads nothing that could be seen.
    """
    found: set[str] = set()
    files = [configuration]
    for file in files:  # grows by what is included; each once, so a circle ends
        try:
            text = content(under(root, file), most=MOST_BYTES).decode(errors="replace")
        except OSError:
            continue
        for name, *words in main_directives(text):
            if name == "load_module" and words and (match := MODULE.fullmatch(words[0])):
                found.add(match["name"])
            if name == "include" and words:
                more = _included(configuration.parent / words[0], root)
                files += [path for path in more if path not in files][: MOST_FILES - len(files)]
    return sorted(found)


def main_directives(text: str) -> Iterator[list[str]]:
    """The directives outside of any block, as words without their quotes.

    >>> list(main_directives("load_module 'a.so'; http { include b; } # c;"))
    [['load_module', 'a.so']]
    """
    depth = 0
    words: list[str] = []
    for match in TOKEN.finditer(text):
        piece = match[0]
        if piece in DEPTH:
            if piece == ";" and depth == 0 and words:
                yield words
            depth = max(0, depth + DEPTH[piece])
            words = []
        elif depth == 0 and not piece.startswith("#"):
            words.append(piece[1:-1] if piece[0] in "\"'" else piece)


def _included(pattern: Path, root: Path) -> list[Path]:
    """The files that an `include` names, by their paths on their own host."""
    if "\0" in str(pattern):  # no file has such a name, and the kernel's calls refuse it
        return []
    # Path.glob raises for patterns that glob(3), as nginx calls it, merely does not match.
    found = glob(str(under(root, pattern)))  # noqa: PTH207
    return sorted(LIVE / Path(path).relative_to(root) for path in found)
