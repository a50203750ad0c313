"""One quoting filter for each grammar.

Values come in typed and through the allow-lists of `advisor.render.values`; a filter still
refuses what its grammar could read as syntax (`InvalidInput`), so that a template can never
be the only line of defence.
"""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Protocol

from advisor.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Scalar = bool | int | str

COMMENT_WIDTH = 300
LINE_WIDTH = 100
NGINX_WORDS_A_LINE = 4
# Neither nginx nor systemd gives any of these a meaning inside a word: no quotes, blanks,
# `;`, `{`, `$`, `%`, `\` or `#`. A leading `~` would make an nginx argument a pattern.
_NGINX_WORD = re.compile(r"(?!~)[A-Za-z0-9._~@+/:\[\]*?-]+")
_NGINX_VARIABLE = re.compile(r"\$[a-z][a-z0-9_]*")
_SYSTEMD_WORD = re.compile(r"[A-Za-z0-9._~@+/:\[\],=()-]*")
_SYSCTL_NUMBER = re.compile(r"[0-9]+")
# No quotes, braces, backslash, backtick, `#` or `$`; what a word begins with may be syntax: `@`
# names a matcher, `&`, `(` and `<<` begin more. Text with blanks is quoted.
_CADDY_WORD = re.compile(r"[A-Za-z0-9/\[:*][A-Za-z0-9._~@+/:\[\]*=-]*")
_CADDY_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ,=/._-]*")
# Words that systemd, a shell and dotenv files read alike: no quotes, blanks, `$`, `\`, `~` or `#`.
_ENVIRONMENT_VALUE = re.compile(r"[A-Za-z0-9._@+/:,=*-]*")
_TOML_STRING = re.compile(r"[A-Za-z0-9._@+/:,=*()-]*")
# What CONFIG SET and redis.conf read alike: no quotes, blanks, `\` or `#`.
_REDIS_WORD = re.compile(r"[A-Za-z0-9._/:-]+")
# One line of text: no controls, and none of the marks that turn its direction.
_YAML_LINE = re.compile(r"[\x20-\x7e\xa0-\u2027\u202f-\ud7ff]*")


class NginxLine(Protocol):
    """A directive of nginx's and the reason that stands above it."""

    @property
    def name(self) -> str:
        """The directive."""

    @property
    def words(self) -> Sequence[Scalar]:
        """Its arguments."""

    @property
    def why(self) -> str:
        """The reason."""


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


def nginx_variable(value: str) -> str:
    """One variable of nginx.

    >>> nginx_variable("$http_cookie")
    '$http_cookie'
    """
    return _word(value, _NGINX_VARIABLE, "nginx")


def nginx_words(values: Sequence[Scalar], indent: int = 4) -> str:
    r"""The words behind a directive's name, with the blank before them; many, each on its line.

    >>> nginx_words(["443", "ssl"]), nginx_words([]), nginx_words(list("abcdef"))[:20]
    (' 443 ssl', '', '\n        a\n        b')
    """
    apart = f"\n{' ' * (indent + 4)}" if len(values) > NGINX_WORDS_A_LINE else " "
    return "".join(f"{apart}{nginx(value)}" for value in values)


def nginx_lines(lines: Iterable[NginxLine], indent: int = 4) -> str:
    """Directives, each below its reason, without the last line's end."""
    before = " " * indent
    return "\n".join(
        f"{before}# {comment(line.why)}\n{before}{line.name}{nginx_words(line.words, indent)};"
        for line in lines
    )


def systemd(value: Scalar) -> str:
    """A value, or one word, of a systemd unit; booleans are yes and no.

    >>> systemd(False), systemd(65536)
    ('no', '65536')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _word(str(value), _SYSTEMD_WORD, "systemd")


def sysctl(value: int | list[int]) -> str:
    """The value of a kernel's key: a number, or several.

    >>> sysctl(4096), sysctl([16384, 65535])
    ('4096', '16384 65535')
    """
    numbers = value if isinstance(value, list) else [value]
    return " ".join(_word(str(number), _SYSCTL_NUMBER, "sysctl") for number in numbers)


def environment(value: Scalar | float) -> str:
    """The value of a variable in an environment file; booleans are true and false.

    >>> environment(True), environment("127.0.0.1,::1"), environment(3.5)
    ('true', '127.0.0.1,::1', '3.5')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return _word(str(value), _ENVIRONMENT_VALUE, "systemd environment")


def toml(value: Scalar | float) -> str:
    """A TOML value.

    >>> toml(False), toml("uvloop"), toml(75)
    ('false', '"uvloop"', '75')
    """
    if isinstance(value, str):
        return f'"{_word(value, _TOML_STRING, "TOML")}"'
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)


def redis(value: Scalar) -> str:
    """One word of a line of redis.conf; no text is a pair of quotes.

    >>> redis("allkeys-lfu"), redis("")
    ('allkeys-lfu', '""')
    """
    return _word(str(value), _REDIS_WORD, "Redis") if value != "" else '""'


def yaml(value: Scalar | float) -> str:
    """A YAML scalar; text is one line in single quotes, where only they have a meaning.

    >>> yaml("it's 5: no"), yaml(True), yaml(0.05)
    ("'it''s 5: no'", 'true', '0.05')
    """
    if isinstance(value, str):
        return "'" + _word(value, _YAML_LINE, "YAML").replace("'", "''") + "'"
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)


def as_json(value: object) -> str:
    r"""Any plain data as JSON, two spaces a level; text comes in escapes where it has to.

    >>> as_json(["a", 1])
    '[\n  "a",\n  1\n]'
    """
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def caddy(value: Scalar) -> str:
    """One argument of a directive in a Caddyfile; text with blanks comes in quotes.

    >>> caddy("/static/*"), caddy(-1), caddy("public, max-age=60")
    ('/static/*', '-1', '"public, max-age=60"')
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = str(value) if isinstance(value, str) else ""
    plain = _CADDY_WORD.fullmatch(text)
    return text if plain else f'"{_word(text, _CADDY_TEXT, "Caddy")}"'


def caddy_comment(text: str) -> str:
    """The same as `comment`; Caddy puts the environment in for `{$NAME}` in comments too.

    >>> caddy_comment("{$HOME}")
    '{ $HOME}'
    """
    return comment(text).replace("{$", "{ $")


def comment(text: str) -> str:
    r"""Text for the rest of a line after `# `, in every grammar: one line of printable text.

    >>> comment("two\nlines\\")
    'two lines'
    """
    words = "".join(char if char.isprintable() else " " for char in text).split()
    # A unit file's line that ends in a backslash goes on in the next one.
    line = " ".join(words).rstrip("\\ ")
    return line if len(line) <= COMMENT_WIDTH else line[: COMMENT_WIDTH - 1].rstrip() + "…"


def wrap_comments(text: str, mark: str) -> str:
    r"""The text with lines of comments as short as reviewers like them; words stay whole.

    >>> wrap_comments("a = 1\n  # one two", "#")
    'a = 1\n  # one two'
    """
    lines = []
    for line in text.split("\n"):
        start = re.match(rf"([ \t]*{re.escape(mark)} *)\S", line)
        if start is None or len(line) <= LINE_WIDTH:
            lines.append(line)
        else:
            lines += textwrap.wrap(
                line[len(start[1]) :],
                LINE_WIDTH,
                initial_indent=start[1],
                subsequent_indent=start[1],
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _word(text: str, allowed: re.Pattern[str], grammar: str) -> str:
    if allowed.fullmatch(text) is None:
        raise InvalidInput(f"{text!r} cannot be written into a {grammar} file")
    return text


FILTERS: dict[str, Callable[..., str]] = {
    "caddy": caddy,
    "caddy_comment": caddy_comment,
    "comment": comment,
    "environment": environment,
    "json": as_json,
    "nginx": nginx,
    "nginx_lines": nginx_lines,
    "nginx_variable": nginx_variable,
    "nginx_words": nginx_words,
    "python": python,
    "sysctl": sysctl,
    "redis": redis,
    "systemd": systemd,
    "toml": toml,
    "yaml": yaml,
}
