"""The pieces all reports are set with."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from advisor.documents import Estimate, Prediction, Unknown

WIDTH = 80
_LABEL = 22


def row(label: str, text: str, *, indent: int = 2) -> str:
    """A label and its text, wrapped beneath itself."""
    first = f"{'':{indent}}{label:<{_LABEL}}"
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first if len(first) == indent + _LABEL else f"{first} ",
        subsequent_indent=" " * (indent + _LABEL),
        break_long_words=False,
        break_on_hyphens=False,
    )


def paragraph(text: str, *, indent: int = 2) -> str:
    """Text wrapped to the width, indented."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def spread(quantity: Estimate | Prediction) -> str:
    """The interval as a percentage of the value, or its bounds where they lie far apart."""
    if not quantity.value:
        return ""
    half = max(quantity.high - quantity.value, quantity.value - quantity.low) / quantity.value
    return f" (±{max(1, round(half * 100))} %)" if half < 1 else " (uncertain)"


def unknowns(entries: Iterable[Unknown]) -> list[str]:
    """What could not be told, why, and what would tell it."""
    lines = []
    for entry in entries:
        lines.append(paragraph(f"{entry.what}: {entry.why}."))
        lines.append(paragraph(f"-> {entry.remedy}", indent=4))
    return ["", "Not known", *lines] if lines else []


def printed(lines: Iterable[str]) -> str:
    """The lines as one text, without what would speak to a terminal.

    Paths, headers, URLs and names are others' text, and may hold control sequences.
    """
    text = "\n".join(lines)
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text) + "\n"
