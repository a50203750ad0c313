"""How a rendered tree differs from what it should be, in words. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from advisor.faults import Marks, shorten
from advisor.render.rendering import RECOMMENDATION_PATH
from advisor.render.tree import MANIFEST_PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from advisor.documents import Recommendation
    from advisor.render.checks import CheckResult
    from advisor.render.tree import Standing

Rule = Literal[
    "hand-edit",
    "stale-input",
    "outdated-output",
    "missing-file",
    "extra-file",
    "refused",
    "not-run",
]

# What each rule says, and what to do about it.
PROBLEMS: dict[str, tuple[str, str]] = {
    "hand-edit": (
        "A file is not as it was rendered.",
        "Say it in advisor.yml, or drop the edit: advisor render REC -o DIR --overwrite.",
    ),
    "stale-input": (
        "The files were rendered from other inputs than there are now.",
        "Run advisor recommend and advisor render again.",
    ),
    "outdated-output": (
        "The same recommendation would be rendered otherwise now.",
        "Render again, and read the difference: advisor check DIR --diff.",
    ),
    "missing-file": (
        "A rendered file is not there.",
        "Render again: advisor render DIR/.advisor/recommendation.yml -o DIR.",
    ),
    "extra-file": (
        "A file stands among the rendered ones that was not rendered.",
        "Move it out of the tree's folders.",
    ),
    "refused": (
        "A check refused what is rendered.",
        "Change the value or pin it in advisor.yml, and run advisor recommend and render again.",
    ),
    "not-run": (
        "A check could not run here.",
        "Install what could not run, in the target's version.",
    ),
}

# A difference is shown of text files up to this size; it grows with the square of the lines.
MOST_SHOWN_BYTES = 1024**2
EXCERPT = 60
LEAD = 20

_INPUTS = re.compile(rb", inputs [0-9a-f]+$", re.MULTILINE)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_PLACED = re.compile(r"(?P<line>\d+)(?::\d+)?: +(?P<text>.*)")


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be; `path` is the file's in the tree."""

    rule: Rule
    path: str
    line: int | None
    text: str


def of_files(standings: Iterable[Standing], *, is_rendered: bool = True) -> list[Problem]:
    """What is wrong with the files, one problem a file.

    Without `is_rendered` nobody knows what they should be, and the manifest alone judges.
    """
    found = (_of_file(one, is_rendered=is_rendered) for one in standings)
    return [problem for problem in found if problem]


def _of_file(one: Standing, *, is_rendered: bool) -> Problem | None:
    if isinstance(one.present, str):
        return Problem("hand-edit", one.path, None, one.present)
    if one.present is None:
        if one.digests:
            return Problem("missing-file", one.path, None, "is not there")
        return Problem("outdated-output", one.path, None, "is not there, and would be rendered now")
    if is_rendered and one.wanted is not None and one.present != one.wanted:
        line, text = first_difference(one.present, one.wanted)
        return Problem(_blame(one), one.path, line, text)
    if is_rendered and one.wanted is None:
        return Problem(_blame(one), one.path, None, "would not be rendered any more")
    return _of_digest(one) if one.is_edited else None


def _blame(one: Standing) -> Rule:
    """Whether a difference is a change of the file or of what would be rendered."""
    if not one.is_edited:
        return "outdated-output"
    return "stale-input" if one.path == RECOMMENDATION_PATH else "hand-edit"


def _of_digest(one: Standing) -> Problem:
    """A file of which only its digest says that it was changed."""
    if not one.digests:
        return Problem("hand-edit", MANIFEST_PATH, None, f"has no entry for {one.path}")
    return Problem(_blame(one), one.path, None, "was changed: its digest is not the manifest's")


def first_difference(present: bytes, wanted: bytes) -> tuple[int, str]:
    r"""The number of the first line that differs, of two files that do, and both in words.

    >>> first_difference(b"a 1;\nb 2;\n", b"a 1;\nb 3;\n")
    (2, 'is "b 2;", would be "b 3;"')
    >>> first_difference(b"a\n", b"a\nb\n")
    (1, 'ends here, would go on with "b"')
    """
    theirs, ours = present.splitlines(keepends=True), wanted.splitlines(keepends=True)
    lines = enumerate(zip_longest(theirs, ours), 1)
    differ = [(number, pair) for number, pair in lines if pair[0] != pair[1]]
    # The header's digest differs with any input, and says nothing of which.
    telling = (
        each
        for each in differ
        if _INPUTS.sub(b"", each[1][0] or b"") != _INPUTS.sub(b"", each[1][1] or b"")
    )
    number, (has, should) = next(telling, differ[0])
    if has is None:
        return max(1, len(theirs)), f"ends here, would go on with {_excerpt(_text(should))}"
    if should is None:
        return number, f"is {_excerpt(_text(has))}, would end before it"
    one, other = _text(has), _text(should)
    if one == other:
        return number, "differs in its line end, or in bytes that are no text"
    pairs = enumerate(zip_longest(one, other))
    same = next(at for at, pair in pairs if pair[0] != pair[1])
    return number, f"is {_excerpt(one, same)}, would be {_excerpt(other, same)}"


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _excerpt(text: str, same: int = 0) -> str:
    """A line as it may stand in a message, from a little before where it differs."""
    start = max(0, same - LEAD) if len(text) > EXCERPT else 0
    cut = text[start : start + EXCERPT]
    return f'"{"…" if start else ""}{cut}{"…" if start + EXCERPT < len(text) else ""}"'


def of_config(stated: Mapping[str, Any], rec: Recommendation, text: str) -> list[Problem]:
    """The keys of advisor.yml that the recommendation was not made from.

    `stated` holds what advisor.yml says, by the names of the recommendation's intent; `text` is
    the recommendation's.
    """
    made = {
        key: one.value
        for key, one in rec.intent.items()
        if one.from_ == "config" and one.value is not None
    }
    marks = Marks(text)
    return [
        Problem("stale-input", RECOMMENDATION_PATH, marks.line(("intent", key)), f"{key}: {words}")
        for key in dict.fromkeys([*stated, *made])
        if (words := _stale(key, stated, made))
    ]


def _stale(key: str, stated: Mapping[str, Any], made: Mapping[str, Any]) -> str | None:
    if key not in made:
        return f"advisor.yml says {shorten(stated[key])}, this was made without it"
    if key not in stated:
        return f"this was made with {shorten(made[key])}, which advisor.yml no longer says"
    if stated[key] != made[key]:
        return f"advisor.yml says {shorten(stated[key])}, this was made with {shorten(made[key])}"
    return None


def of_checks(results: Iterable[CheckResult]) -> list[Problem]:
    """What the checks refused, a problem a line of theirs, and what could not run."""
    problems = []
    for result in results:
        if result.status == "failed":
            problems += [
                placed("refused", result.path, line, prefix=f"{result.check}: ")
                for line in result.lines
            ]
        elif result.status == "not_run":
            why = f"{result.check}: not run: {'; '.join(result.lines)}"
            problems.append(Problem("not-run", result.path, None, why))
    return problems


def placed(rule: Rule, path: str, said: str, *, prefix: str = "") -> Problem:
    """A problem of a line such as `nginx/shop.conf:12: [emerg] unexpected ";"`."""
    rest = said.removeprefix(f"{path}:")
    if rest == said:
        return Problem(rule, path, None, f"{prefix}{said}")
    match = _PLACED.fullmatch(rest)
    if match is None:
        return Problem(rule, path, None, f"{prefix}{rest.strip()}")
    return Problem(rule, path, int(match["line"]), f"{prefix}{match['text']}")


def difference(standings: Sequence[Standing], folder: str) -> str:
    """The unified difference between a tree and what would be rendered, as `patch -p0` reads it."""
    return "".join(_difference(one, f"{folder}/{one.path}") for one in standings)


def _difference(one: Standing, name: str) -> str:
    if isinstance(one.present, str) or one.present == one.wanted:
        return ""
    sides = (one.present or b"", one.wanted or b"")
    try:
        old, new = (_LINE.findall(side.decode("utf-8")) for side in sides)
    except UnicodeDecodeError:
        return f"{name}: differs, and is no text\n"
    if max(map(len, sides)) > MOST_SHOWN_BYTES:
        return f"{name}: differs, and is too long to show\n"
    before, after = (
        name if side is not None else "/dev/null" for side in (one.present, one.wanted)
    )
    lines = difflib.unified_diff(old, new, before, after)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
