"""What a finding may rest on, and how one is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advisor.documents import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.documents import Facts, Measurement, Resolved, Server, Value
    from advisor.model.choose import Plan


@dataclass(frozen=True, slots=True)
class Case:
    """All that a finding may rest on. `mended` is the plan once nothing blocks the loop."""

    facts: Facts
    measurement: Measurement | None
    server: Server | None
    intent: Mapping[str, Resolved]
    plan: Plan
    mended: Plan | None
    boot_cpu_s: float
    cores: float
    budget_bytes: int

    def value(self, key: str) -> Any:
        """The intent's value of `key`."""
        return self.intent[key].value


@dataclass(frozen=True, slots=True)
class Said:
    """A finding without its id and severity, which its registration gives."""

    title: str
    detail: str
    evidence: dict[str, Value]
    remedy: str


FINDINGS: dict[str, Callable[[Case], Finding | None]] = {}


def finding(
    id_: str, severity: Literal["info", "warning", "critical"]
) -> Callable[[Callable[[Case], Said | None]], None]:
    """Register a function that says something about a case, or nothing."""

    def register(look: Callable[[Case], Said | None]) -> None:
        def made(case: Case) -> Finding | None:
            if (said := look(case)) is None:
                return None
            return Finding(
                id=id_,
                severity=severity,
                title=said.title,
                detail=said.detail,
                evidence=said.evidence,
                remedy=said.remedy,
            )

        FINDINGS[id_] = made

    return register


def find(case: Case) -> list[Finding]:
    """Every finding of the case, the gravest first."""
    grave = ("critical", "warning", "info")
    found = [finding for look in FINDINGS.values() if (finding := look(case))]
    return sorted(found, key=lambda finding: grave.index(finding.severity))
