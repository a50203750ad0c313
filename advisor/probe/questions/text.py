"""What a server says, as a document and a terminal can carry it."""

from __future__ import annotations


def printable(words: str, most: int = 200) -> str:
    r"""At most so many characters, without control characters, escapes or half characters.

    >>> printable("text/html\x1b[2J")
    'text/html?[2J'
    """
    cut = words if len(words) <= most else words[: most - 3] + "..."
    return "".join(each if each.isprintable() else "?" for each in cut)
