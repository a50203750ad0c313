"""Values of settings and of what they were computed from, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.quantities import duration, rate, size

if TYPE_CHECKING:
    from advisor.documents import Value


KIB = 1024


def shown(value: Value, unit: str | None = None) -> str:
    """A setting's value with its unit; null is the product's default.

    >>> shown(None), shown(True), shown(75, "s"), shown(28311552, "bytes"), shown(["br", "gzip"])
    ('default', 'on', '75 s', '27 M', 'br, gzip')
    """
    match value:
        case None:
            return "default"
        case bool(on):
            return "on" if on else "off"
        case list(parts):
            return ", ".join(map(str, parts)) or "none"
        case int(number) | float(number) if unit == "bytes":
            return _bytes(number)
        case int(number) | float(number) if unit == "s":
            return f"{number} s"
        case other:
            return f"{other:g}" if isinstance(other, float) else str(other)


def quantity(name: str, value: Value) -> str:
    """An input's value in the unit that its name ends with.

    >>> quantity("cpu_per_request_s", 0.00019), quantity("memory_base_bytes", 28311552)
    ('190 µs', '27 M')
    >>> quantity("targets.rate_rps", 500), quantity("cpu.effective", 2.0)
    ('500/s', '2')
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if name.endswith("_s") or name.startswith("latency_s."):
            return duration(value)
        if name.endswith(("_bytes", "_bytes_per_request")):
            return _bytes(value)
        if name.endswith("_rps"):
            return rate(value)
    return shown(value)


def _bytes(count: float) -> str:
    return size(count) if not 0 < count < KIB else f"{count:.4g} bytes"
