"""Columns of figures, and words that have to fit beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.report.layout import WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTHING = "-"
_INDENT, _GAP, _LEAST = 2, 2, 8


def grid(columns: Sequence[tuple[str, Sequence[str]]], *, names: bool = False) -> list[str]:
    """Columns under their headings, to the right; one with nothing in it is left out.

    With `names` the first column holds words: it stands to the left, shortened to what room
    the others leave.

    >>> grid([("n", ["1", "20"]), ("errors", ["-", "-"]), ("p50", ["3 ms", "-"])])
    ['   n   p50', '   1  3 ms', '  20     -']
    """
    kept = [(head, cells) for head, cells in columns if any(cell != NOTHING for cell in cells)]
    widths = [max(map(len, (head, *cells))) for head, cells in kept]
    if names and kept:
        room = WIDTH - _INDENT - sum(widths[1:]) - _GAP * len(widths[1:])
        widths[0] = min(widths[0], max(_LEAST, room))
    lines = zip(*((head, *cells) for head, cells in kept), strict=True)
    return [
        " " * _INDENT
        + (" " * _GAP).join(
            f"{shortened(cell, width):<{width}}" if names and not at else f"{cell:>{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]


def shortened(text: str, width: int) -> str:
    """A path or a name in so many characters: its end tells more than its middle.

    >>> shortened("/srv/releases/42/shop/views.py:7", 20)
    '...2/shop/views.py:7'
    """
    if len(text) <= width:
        return text
    return f"...{text[len(text) - max(1, width - 3) :]}"
