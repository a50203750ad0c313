"""One setting explained for a terminal of 80 columns: rule, inputs, alternatives, source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from advisor.quantities import rate, size
from advisor.report.layout import paragraph, printed, row
from advisor.report.values import quantity, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from advisor.documents import Alternative, Recommendation, Setting, Unknown

APPLIED = {
    "file": "a file that is read by its daemon",
    "environment": "the environment",
    "code": "the app's own code",
}
NO_RULE = "No rule of this version knows this setting: explained from the recommendation alone."
SILENT = (
    "It has no value here. Its rule is silent: what it is about is not there, or the product's "
    "default serves."
)


def explained(
    setting: Setting, rec: Recommendation, *, words: str | None, origins: Mapping[str, str]
) -> str:
    """The setting's value, reason and rule, and all that they rest on.

    `words` are the rule's own, None where this version has no such rule; `origins` says where
    each input comes from. Lines to paste are never broken.
    """
    sure = "pinned" if setting.pinned else f"confidence {setting.confidence}"
    lines = [
        *_head(setting.id, rec, f"{shown(setting.value, setting.unit)}  [{sure}]"),
        paragraph(setting.why),
        *_rule(words),
        *_inputs(setting, rec, origins),
        *_alternatives(setting, rec),
        *_sensitivity(setting, rec),
        "",
        *([row("bound by", setting.binding)] if setting.binding else []),
        row("applied by", APPLIED[setting.applied_by]),
        row("source", setting.source),
        *_paste(setting),
    ]
    return printed(lines)


def absent(id_: str, rec: Recommendation, *, words: str | None, gap: Unknown | None) -> str:
    """Why a setting has no value here: what is missing, or that its rule is silent."""
    lines = [
        *_head(id_, rec, "no value" if gap is None else "not known"),
        paragraph(SILENT if gap is None else f"It is not known: {gap.why}."),
        *([paragraph(f"-> {gap.remedy}", indent=4)] if gap else []),
        *_rule(words),
    ]
    return printed(lines)


def as_data(
    id_: str,
    *,
    setting: Setting | None,
    words: str | None,
    origins: Mapping[str, str],
    gap: Unknown | None,
) -> dict[str, Any]:
    """The same for JSON. `setting` and `unknown` are null where there is none."""
    return {
        "id": id_,
        "setting": setting.as_data() if setting else None,
        "rule": words,
        "origins": dict(origins),
        "unknown": gap.as_data() if gap else None,
    }


def _head(id_: str, rec: Recommendation, what: str) -> list[str]:
    app = f"{rec.app.name} ({rec.app.module}) on {rec.host.name}"
    return [paragraph(f"{id_}  {what}", indent=0), paragraph(app, indent=0), ""]


def _rule(words: str | None) -> list[str]:
    """The docstring's paragraphs, wrapped anew."""
    if words is None:
        return ["", paragraph(NO_RULE)]
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", words) if part.strip()]
    return ["", "The rule", *(paragraph(part) for part in parts)]


def _inputs(setting: Setting, rec: Recommendation, origins: Mapping[str, str]) -> list[str]:
    units = {other.id: other.unit for other in rec.settings}
    lines = []
    for name, value in setting.inputs.items():
        text = shown(value, units[name]) if name in units else quantity(name, value)
        origin = origins.get(name)
        lines.append(row(f"{name} ", f"{text} - {origin}" if origin else text))
    return ["", "From", *lines] if lines else []


def _alternatives(setting: Setting, rec: Recommendation) -> list[str]:
    lines = [
        row(f"{shown(other.value, setting.unit)} ", "; ".join(_cost(other, rec)) or "-")
        for other in setting.alternatives
    ]
    return ["", "Instead", *lines] if lines else []


def _cost(other: Alternative, rec: Recommendation) -> Iterator[str]:
    """What another value is predicted to give, beside what the chosen one is."""
    if other.throughput_rps is not None:
        yield rate(other.throughput_rps) + _beside(other.throughput_rps, rec)
    if other.memory_bytes is not None:
        yield size(other.memory_bytes)
    if other.why:
        yield other.why


def _beside(rps: float, rec: Recommendation) -> str:
    chosen = rec.prediction.throughput_rps
    if chosen is None or not chosen.value:
        return ""
    return f" ({100 * (rps / chosen.value - 1):+.1f} %)"


def _sensitivity(setting: Setting, rec: Recommendation) -> list[str]:
    units = {other.id: other.unit for other in rec.settings}
    lines = []
    for change in setting.sensitivity:
        at = (
            shown(change.at, units[change.input])
            if change.input in units
            else quantity(change.input, change.at)
        )
        lines.append(paragraph(f"were {change.input} {at}: {shown(change.value, setting.unit)}"))
    return ["", "Were it otherwise", *lines] if lines else []


def _paste(setting: Setting) -> list[str]:
    if setting.paste is None:
        return []
    return ["", "To paste", *(f"    {line}" for line in setting.paste.splitlines())]
