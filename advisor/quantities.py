"""Quantities as people read them: durations, rates and sizes in the unit that suits them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(0.00019)
    '190 µs'
    >>> duration(0.0403)
    '40.3 ms'
    """
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.2f} s"


def rate(per_second: float) -> str:
    """Requests a second, whole from 100 on.

    >>> rate(8900)
    '8,900/s'
    """
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.3g}/s"


def size(count: float) -> str:
    """Bytes as K, M or G, powers of 1024 as on the command line.

    >>> size(28311552)
    '27 M'
    """
    if count >= 1024**3:
        return f"{count / 1024**3:.1f} G"
    if count >= 1024**2:
        return f"{count / 1024**2:.0f} M"
    return f"{count / 1024:.0f} K"


def count(number: float, noun: str) -> str:
    """A number and its noun, in the plural where it is one.

    >>> count(1, "worker"), count(2, "worker"), count(0.25, "core")
    ('1 worker', '2 workers', '0.25 cores')
    """
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"
