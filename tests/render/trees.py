"""Rendered files read back, each by the grammar of what will read it: comments gone, values kept.

A tree is a mapping, list or text; directives that may be repeated, and blocks, are lists. What a
grammar's own reader refuses is an `AssertionError`.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import yaml

from advisor.host.proxies.nginx import parse as parse_nginx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from advisor.host.proxies.nginx_directive import Directive
    from advisor.render import File

Tree = Any

_UNIT_LINE = re.compile(r"\[(?P<section>[A-Za-z]+)\]|(?P<key>[A-Za-z]+)=(?P<value>.*)")
_CADDY_WORD = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]+)')


def trees(files: Sequence[File]) -> dict[str, Tree]:
    """Each file's tree by its path; the recommendation, which no daemon reads, is left out."""
    read = (file for file in files if file.output is not None)
    return {file.path: tree(file.path, file.content.decode()) for file in read}


def tree(path: str, text: str) -> Tree:
    """One file's, by its folder or its ending."""
    folder, _, name = path.partition("/")
    for key in (folder, "." + name.rpartition(".")[2]):
        if key in GRAMMARS:
            return GRAMMARS[key](text)
    raise AssertionError(f"no grammar is known for {path}")


def _lines(text: str, marks: str = "#") -> Iterator[str]:
    r"""Lines with a meaning. Only \n ends one: no daemon here takes U+2028 for a line's end."""
    for line in text.split("\n"):
        if line.strip() and line.lstrip()[0] not in marks:
            yield line


def _python(text: str) -> Tree:
    """Assignments of constants, and nothing else."""
    out = []
    for node in ast.parse(text).body:
        assert isinstance(node, ast.Assign), ast.unparse(node)
        (target,) = node.targets
        assert isinstance(target, ast.Name), ast.unparse(node)
        out.append([target.id, ast.literal_eval(node.value)])
    return out


def _nginx(text: str) -> Tree:
    found = parse_nginx(text.encode())
    assert found is not None, text
    return [_directive(one) for one in found]


def _directive(one: Directive) -> Tree:
    block = None if one.block is None else [_directive(inner) for inner in one.block]
    return [one.name, list(one.args), block]


def _caddy(text: str) -> Tree:
    """Words by line, blocks below the line that opens them."""
    top: list[Tree] = []
    open_blocks = [top]
    for line in _lines(text):
        words = [match["bare"] or match["quoted"] for match in _CADDY_WORD.finditer(line)]
        if words == ["}"]:
            open_blocks.pop()
            continue
        opens = words[-1] == "{"
        block: list[Tree] = []
        open_blocks[-1].append([words[: len(words) - opens], block if opens else None])
        if opens:
            open_blocks.append(block)
    assert open_blocks == [top], text
    return top


def _unit(text: str) -> Tree:
    """Sections with their assignments in order; a line that goes on in the next is none of ours."""
    out: list[Tree] = []
    for line in _lines(text, "#;"):
        match = _UNIT_LINE.fullmatch(line)
        assert match is not None, line
        assert not line.endswith("\\"), line
        if match["section"]:
            out.append([match["section"], []])
        else:
            out[-1][1].append([match["key"], match["value"]])
    return out


def _assignments(text: str) -> Tree:
    """`NAME=value` or `name = value`, as EnvironmentFile= and sysctl.d read them."""
    out = []
    for line in _lines(text, "#;"):
        name, equals, value = line.partition("=")
        assert equals, line
        out.append([name.strip(), value.strip()])
    return out


def _words(text: str) -> Tree:
    """Words by line, as Redis, sysusers.d and tmpfiles.d read them."""
    return [line.split() for line in _lines(text)]


def _systemd(text: str) -> Tree:
    """A unit, or a line of words for systemd-sysusers and systemd-tmpfiles."""
    first = next(_lines(text, "#;"), "")
    return _unit(text) if first.startswith("[") else _words(text)


# By the tree's folder, or else by the name's ending.
GRAMMARS: dict[str, Callable[[str], Tree]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "systemd": _systemd,
    "workers": _systemd,
    "redis": _words,
    "sysctl": _assignments,
    "environment": _assignments,
    ".conf": _nginx,
    ".caddy": _caddy,
    ".Caddyfile": _caddy,
    ".py": _python,
    ".env": _assignments,
    ".toml": tomllib.loads,
    ".yml": yaml.safe_load,
    ".json": json.loads,
}
