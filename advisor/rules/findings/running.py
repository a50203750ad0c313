"""The settings of the server that runs, as far as they are known.

A setting that no source gives has the product's default; one that a source may give that could
not be read is unknown, and nothing is said about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.documents import Scalar
    from advisor.rules.findings.case import Case


def setting(case: Case, name: str, default: Scalar = None) -> Scalar:
    """A setting of the server that runs; None where it may be set by what could not be read."""
    server = case.server
    if server is None:
        return None
    if name in server.settings:
        return server.settings[name]
    end = f" of pid {server.pid} ({server.kind})"
    gaps = [gap.what.removesuffix(end) for gap in case.facts.unknown if gap.what.endswith(end)]
    words = {word for gap in gaps for word in gap.replace(",", " ").split()}
    return None if words & {"settings", name} else default


def number(case: Case, name: str, default: int | None = None) -> float | None:
    """A setting that is a number; None where it is none, or not known."""
    value = setting(case, name, default)
    return float(value) if isinstance(value, int | float) and value is not True else None


def is_alone(case: Case) -> bool:
    """Whether the server that runs is one process, its own worker."""
    server = case.server
    return server is not None and [worker.pid for worker in server.workers] == [server.pid]
