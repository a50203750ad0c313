"""What a finding may rest on, and how one is registered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from advisor.documents import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.documents import Facts, Measurement, Resolved, Server, Value
    from advisor.model.choose import Plan

Severity = Literal["info", "warning", "critical"]


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

    def measured(self, key: str) -> Any:
        """A figure that shows the limiter; None where nothing was measured or it has none."""
        return self.measurement.limiter.evidence.get(key) if self.measurement else None


@dataclass(frozen=True, slots=True)
class Said:
    """A finding without its id, which its registration gives.

    `severity` is given where the case is graver or lighter than the finding usually is.
    """

    title: str
    detail: str
    evidence: dict[str, Value]
    remedy: str
    severity: Severity | None = None


FINDINGS: dict[str, Callable[[Case], Finding | None]] = {}


def finding(
    id_: str, severity: Severity
) -> Callable[[Callable[[Case], Said | None]], Callable[[Case], Said | None]]:
    """Register a function that says something about a case, or nothing."""

    def register(look: Callable[[Case], Said | None]) -> Callable[[Case], Said | None]:
        def made(case: Case) -> Finding | None:
            if (said := look(case)) is None:
                return None
            return Finding(
                id=id_,
                severity=said.severity or severity,
                title=said.title,
                detail=said.detail,
                evidence=said.evidence,
                remedy=said.remedy,
            )

        if id_ in FINDINGS:
            raise ValueError(f"two findings are called {id_}")
        FINDINGS[id_] = made
        return look

    return register


def find(case: Case) -> list[Finding]:
    """Every finding of the case, the gravest first."""
    grave = ("critical", "warning", "info")
    found = [finding for look in FINDINGS.values() if (finding := look(case))]
    return sorted(found, key=lambda finding: grave.index(finding.severity))
