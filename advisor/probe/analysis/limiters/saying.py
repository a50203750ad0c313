"""What a test says: a limiter with its confidence, or that none is known. Pure."""

from __future__ import annotations

from advisor.documents import Limiter, Scalar, Verdict


def unknown(why: str, evidence: dict[str, Scalar]) -> Limiter:
    """No verdict, and why."""
    return Limiter(verdict="unknown", confidence=0.0, why=why, evidence=evidence)


def limiter(verdict: Verdict, confidence: float, why: str, evidence: dict[str, Scalar]) -> Limiter:
    """A verdict; its confidence is kept within 0 and 0.99."""
    return Limiter(
        verdict=verdict,
        confidence=round(min(0.99, max(0.0, confidence)), 2),
        why=why,
        evidence=evidence,
    )
