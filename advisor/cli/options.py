"""Options whose text needs more than a type: what is wrong is said with the option's name."""

from __future__ import annotations

import math

from advisor.errors import InvalidInput


def whole(name: str, text: str | None) -> int | None:
    """A whole number above zero, or None where the option was not given."""
    if text is None:
        return None
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InvalidInput(f"{name} {text}: should be a whole number above zero")
    return value


def number(name: str, text: str | None) -> float | None:
    """A finite number above zero, or None where the option was not given."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InvalidInput(f"{name} {text}: should be a number above zero, such as 2 or 0.5")
    return value


def size(name: str, text: str | None) -> int | None:
    """Bytes of a size such as 700M, or None where the option was not given."""
    from advisor.intent import parse_size

    if text is None:
        return None
    try:
        value = parse_size(text)
    except ValueError:
        value = 0
    if value < 1:
        raise InvalidInput(f"{name} {text}: should be a size above zero, such as 700M or 1.5G")
    return value
