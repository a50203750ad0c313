"""Which location of an nginx server block answers a path (ngx_http_core_find_location). Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from advisor.host.proxies.nginx_listen import matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from advisor.host.proxies.nginx_directive import Directive

MODIFIERS = ("=", "~*", "~", "^~", "@")
MAX_JUMPS = 5  # nginx itself gives up after ten internal redirects


def normal(path: str) -> str:
    """A request's path as nginx compares it: decoded, slashes merged, dots resolved, no query.

    >>> normal("/a//b/../%63?x=1"), normal("/a/b/")
    ('/a/c', '/a/b/')
    """
    plain = re.sub(r"/+", "/", unquote(path.partition("?")[0]) or "/")
    slash = "/" if plain.endswith(("/", "/.", "/..")) and plain != "/" else ""
    resolved = posixpath.normpath("/" + plain.lstrip("/"))
    return resolved if resolved == "/" else resolved + slash


def kind(location: Directive) -> tuple[str, str]:
    """A location's modifier (empty for a plain prefix) and its pattern."""
    if len(location.args) > 1:
        return location.args[0], location.args[1]
    text = location.args[0] if location.args else "/"
    modifier = next((word for word in MODIFIERS if text.startswith(word)), "")
    return (modifier, text) if modifier == "@" else (modifier, text[len(modifier) :])


def locate(server: Directive, path: str) -> tuple[tuple[Directive, ...], tuple[str, ...]]:
    """The locations that the path ends in, the outermost first, and what was not understood.

    A `try_files` is followed to its last word, as for a file that is not there: that is the
    way to an app.
    """
    unsure: list[str] = []
    found, _ = _find(server, path, unsure)
    for _ in range(MAX_JUMPS):
        last = found[-1] if found else server
        target = next((entry.args[-1] for entry in last.all("try_files") if entry.args), "")
        if target.startswith("@"):
            jumped = [location for location in server.all("location") if target in location.args]
            found = tuple(jumped[:1])
        elif target.startswith("/") and "$" not in target and normal(target) != path:
            path = normal(target)
            found, _ = _find(server, path, unsure)
        else:
            break
    return found, tuple(dict.fromkeys(unsure))


def _find(block: Directive, path: str, unsure: list[str]) -> tuple[tuple[Directive, ...], bool]:
    """The locations for a path inside a block, and whether that is final.

    An exact one ends the search; else the longest prefix is remembered, what stands inside it
    tried, then the regular expressions in their order unless the prefix has `^~`.
    """
    plain = [(*kind(location), location) for location in block.all("location")]
    for modifier, text, location in plain:
        if modifier == "=" and text == path:
            return (location,), True
    prefixes = [entry for entry in plain if entry[0] in {"", "^~"} and path.startswith(entry[1])]
    modifier, _, prefix = max(prefixes, key=lambda entry: len(entry[1]), default=("", "", None))
    found: tuple[Directive, ...] = ()
    if prefix is not None:
        inner, final = _find(prefix, path, unsure)
        found = (prefix, *inner)
        if final or modifier == "^~":
            return found, final
    return _by_pattern(plain, path, unsure) or (found, False)


def _by_pattern(
    plain: Sequence[tuple[str, str, Directive]], path: str, unsure: list[str]
) -> tuple[tuple[Directive, ...], bool] | None:
    """The first regular expression that fits, with what stands inside it."""
    for modifier, text, location in plain:
        if modifier in {"~", "~*"}:
            verdict = matches(text, path, any_case=modifier == "~*")
            if verdict:
                return (location, *_find(location, path, unsure)[0]), True
            if verdict is None:
                unsure.append(f"location {text} is not understood")
    return None


def paths(block: Directive, directive: str) -> Iterator[str]:
    """The paths of plain locations, however deep, that hold a directive."""
    for location in block.all("location"):
        modifier, text = kind(location)
        if modifier in {"", "=", "^~"} and text.startswith("/") and location.has(directive):
            yield text
        yield from paths(location, directive)
