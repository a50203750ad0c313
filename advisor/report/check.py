"""What `advisor check` found, as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from advisor.report.layout import printed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def text(found: Mapping[str, Any]) -> str:
    """The difference where it was asked for, a line a problem, or one that says that all is well.

    A problem is `deploy/nginx/shop.conf:12: hand-edit: ...`; warnings are the command line's.
    """
    difference = "".join(char for char in found.get("diff", "") if _harmless(char))
    return difference + printed(_problems(found) if not found["ok"] else [summary(found)])


def _problems(found: Mapping[str, Any]) -> Iterator[str]:
    for problem in found["problems"]:
        if problem["level"] == "error":
            yield f"{where(found, problem)}: {problem['rule']}: {problem['text']}"


def where(found: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    """The file, as it is reached from where the command was given, and its line."""
    path = f"{found['directory'].rstrip('/')}/{problem['path']}"
    return f"{path}:{problem['line']}" if problem["line"] else path


def summary(found: Mapping[str, Any]) -> str:
    """One line: how much was looked at, and how it is.

    >>> check = {"status": "passed"}
    >>> summary({"directory": "deploy", "files": 5, "problems": [], "checks": [check, check]})
    'deploy: 5 files as rendered, 2 checks passed'
    """
    errors = sum(problem["level"] == "error" for problem in found["problems"])
    count = {
        status: sum(check["status"] == status for check in found["checks"])
        for status in ("passed", "not_run")
    }
    said = [
        f"{counted(found['files'], 'file')}{'' if errors else ' as rendered'}",
        *([counted(errors, "problem")] if errors else []),
        f"{counted(count['passed'], 'check')} passed",
        *([f"{count['not_run']} not run"] if count["not_run"] else []),
    ]
    return f"{found['directory']}: {', '.join(said)}"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "file"), counted(2, "file")
    ('1 file', '2 files')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _harmless(char: str) -> bool:
    """What does not speak to a terminal; a difference needs its tabs."""
    return char.isprintable() or char in "\n\t"
