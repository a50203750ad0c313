"""One quoting filter for each grammar.

Values come in typed and through the allow-lists of `advisor.render.values`; a filter still
refuses what its grammar could read as syntax (`InvalidInput`), so that a template can never
be the only line of defence.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

Scalar = bool | int | str

COMMENT_WIDTH = 300
# Neither nginx nor systemd gives any of these a meaning inside a word: no quotes, blanks,
# `;`, `{`, `$`, `%`, `\` or `#`. A leading `~` would make an nginx argument a pattern.
_NGINX_WORD = re.compile(r"(?!~)[A-Za-z0-9._~@+/:\[\]*-]+")
_SYSTEMD_WORD = re.compile(r"[A-Za-z0-9._~@+/:\[\],=()-]*")


def python(value: Scalar) -> str:
    """A Python constant, quoted as formatters like it.

    >>> python("shop.main:app"), python(True), python(30)
    ('"shop.main:app"', 'True', '30')
    """
    # JSON's escapes are a subset of Python's, once nothing is written as a surrogate pair.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def nginx(value: Scalar) -> str:
    """One word of an nginx directive; booleans are on and off.

    >>> nginx(True), nginx("/static/")
    ('on', '/static/')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    return _word(str(value), _NGINX_WORD, "nginx")


def systemd(value: Scalar) -> str:
    """A value, or one word, of a systemd unit; booleans are yes and no.

    >>> systemd(False), systemd(65536)
    ('no', '65536')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _word(str(value), _SYSTEMD_WORD, "systemd")


def comment(text: str) -> str:
    r"""Text for the rest of a line after `# `, in every grammar: one line of printable text.

    >>> comment("two\nlines\\")
    'two lines'
    """
    words = "".join(char if char.isprintable() else " " for char in text).split()
    # A unit file's line that ends in a backslash goes on in the next one.
    line = " ".join(words).rstrip("\\ ")
    return line if len(line) <= COMMENT_WIDTH else line[: COMMENT_WIDTH - 1].rstrip() + "…"


def _word(text: str, allowed: re.Pattern[str], grammar: str) -> str:
    if allowed.fullmatch(text) is None:
        raise InvalidInput(f"{text!r} cannot be written into a {grammar} file")
    return text


FILTERS: dict[str, Callable[..., str]] = {
    "comment": comment,
    "nginx": nginx,
    "python": python,
    "systemd": systemd,
}
