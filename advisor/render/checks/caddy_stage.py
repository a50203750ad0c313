"""A rendered Caddyfile and its sites in a folder of one's own, beside any other Caddy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput
from advisor.render.kit.caddy import CADDYFILE, LOGS, SITES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from advisor.render.rendering import File

_TLS = re.compile(r"^(?P<directive>\s*tls )(?P<certificate>/\S+) (?P<key>/\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Stage:
    """The staged files: the Caddyfile to run, each one's path in the tree, and its text."""

    caddyfile: Path
    trees: Mapping[Path, str]
    texts: Mapping[Path, str]


def stage_caddy(
    files: Sequence[File], directory: Path, *, swap: Mapping[str, str] | None = None
) -> Stage:
    """Write a Caddyfile and the sites that it imports into `directory`.

    Logs and imports lead into the folder. `swap` exchanges further texts, wherever they stand:
    certificates, sockets, addresses; each has to be there. Lines keep their numbers.

    Raises `InvalidInput` where a text to be exchanged is not there.
    """
    moved = {f"import {SITES}/": f"import {directory}/", f"file {LOGS}/": f"file {directory}/"}
    absent = [old for old in swap or {} if not any(old.encode() in file.content for file in files)]
    if absent:
        raise InvalidInput(f"no Caddy file holds {absent[0]!r}")
    trees = {directory / Path(file.path).name: file.path for file in files}
    texts: dict[Path, str] = {}
    for path, file in zip(trees, files, strict=True):
        text = file.content.decode()
        for old, new in (moved | dict(swap or {})).items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        texts[path] = text
    return Stage(directory / Path(CADDYFILE).name, trees, texts)


def certificates(files: Sequence[File]) -> list[tuple[str, str]]:
    """The pairs of certificate and key that the sites name."""
    return [
        (match["certificate"], match["key"])
        for file in files
        for match in _TLS.finditer(file.content.decode())
    ]
