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


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them: `190 µs`, `2.1 ms`, `1.50 s`.

    >>> duration(0.00019)
    '190 µs'
    """
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.2f} s"


def rate(per_second: float) -> str:
    """Requests a second, to three digits or whole: `8,900/s`."""
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.3g}/s"


def size(count: float) -> str:
    """Bytes as M or G, powers of 1024: `31 M`, `4.0 G`."""
    if count >= 1024**3:
        return f"{count / 1024**3:.1f} G"
    if count >= 1024**2:
        return f"{count / 1024**2:.0f} M"
    return f"{count / 1024:.0f} K"


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
