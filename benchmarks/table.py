"""A figure, the limit it has to keep, and both printed side by side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure; `most` or `least` is the limit it is held to."""

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    def row(self) -> str:
        """The figure as a line of the table."""
        limit = "-"
        if self.most is not None:
            limit = f"<= {self.most:g}"
        if self.least is not None:
            limit = f">= {self.least:g}"
        if self.most is not None and self.least is not None:
            limit = f"{self.least:g}..{self.most:g}"
        verdict = "" if self.kept else "  MISSED"
        return f"  {self.what:<48} {self.value:>9.3g} {self.unit:<3} {limit:>10}{verdict}"


def show(title: str, figures: list[Figure]) -> bool:
    """Print a table; whether every limit was kept."""
    print(f"{title}\n")
    for figure in figures:
        print(figure.row())
    print()
    return all(figure.kept for figure in figures)
