"""What `advisor verify` found, as a table: a line a check."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from advisor.report.check import counted
from advisor.report.layout import printed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# So many checks in a row with one reason, such as a host that does not answer, are one line.
MANY = 4
WORDS = {"held": "held", "failed": "FAILED", "not_run": "not run"}


def text(found: Sequence[Mapping[str, Any]]) -> str:
    r"""A line a check, with its host, and what it all comes to.

    >>> row = {"host": "web1", "check": "shop.service: is active", "status": "held", "why": None}
    >>> text([row])
    'web1  held     shop.service: is active\n\n1 host: 1 check held\n'
    """
    width = max((len(one["host"]) for one in found), default=0)
    lines = [
        f"{host:{width}}  {WORDS[status]:7}  {said}"
        for (host, status, why), rows in groupby(found, _alike)
        for said in _said([one["check"] for one in rows], why)
    ]
    return printed([*lines, "", summary(found)])


def _alike(one: Mapping[str, Any]) -> tuple[str, str, str | None]:
    return one["host"], one["status"], one["why"]


def _said(checks: list[str], why: str | None) -> list[str]:
    """The checks that ended alike: where many have one reason, it is said once.

    >>> _said(["a", "b"], "why"), _said(["a", "b", "c", "d", "e"], "why")
    (['a: why', 'b: why'], ['5 checks: why'])
    """
    if why and len(checks) > MANY:
        return [f"{counted(len(checks), 'check')}: {why}"]
    return [f"{check}: {why}" if why else check for check in checks]


def summary(found: Sequence[Mapping[str, Any]]) -> str:
    """One line: how many hosts and checks, and how they are.

    >>> rows = [{"host": "a", "status": "held"}, {"host": "b", "status": "failed"}]
    >>> summary(rows)
    '2 hosts: 1 check held, 1 failed'
    """
    count = {
        status: sum(one["status"] == status for one in found) for status in ("failed", "not_run")
    }
    holding = len(found) - sum(count.values())
    said = [
        f"{counted(holding, 'check')} held",
        *(f"{number} {WORDS[status].lower()}" for status, number in count.items() if number),
    ]
    return f"{counted(len({one['host'] for one in found}), 'host')}: {', '.join(said)}"
