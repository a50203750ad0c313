"""A recommendation as a table for a terminal of 80 columns, the decisive first."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from advisor.quantities import duration, rate, size
from advisor.report.layout import WIDTH, paragraph, printed, row, unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.documents import Finding, Outlook, Prediction, Recommendation, Setting

DECISIVE = ("gunicorn.workers", "gunicorn.worker_class", "gunicorn.threads")
_NAME, _VALUE = 28, 9


def table(rec: Recommendation, *, saved_as: str | None = None) -> str:
    """What to set and why, what is wrong, the rest, what is not known, and what to type next.

    `saved_as` is the file the recommendation was written to, for the last line.
    """
    decisive = [setting for setting in rec.settings if setting.id in DECISIVE]
    others = [setting for setting in rec.settings if setting.id not in DECISIVE]
    lines = [
        textwrap.fill(f"{rec.app.name} ({rec.app.module}) on {rec.host.name}", WIDTH),
        "",
        *_outlook(rec.prediction),
        *(line for setting in decisive for line in _decisive(setting)),
        *(["", "Findings"] if rec.findings else []),
        *(line for finding in rec.findings for line in _finding(finding)),
        *_others(others),
        *unknowns(rec.unknown),
        "",
        "Next",
        f"  advisor render {saved_as} -o deploy"
        if saved_as
        else "  the same command with -o rec.yml, then: advisor render rec.yml -o deploy",
    ]
    return printed(lines)


def _outlook(seen: Outlook) -> list[str]:
    memory = _between(seen.memory_bytes, size)
    if seen.throughput_rps is None:
        text = f"Not measured, so this is a fall-back. Memory: {memory}."
        return [paragraph(text), ""]
    lines = [
        row("Expected", f"{_between(seen.throughput_rps, rate)}, {seen.concurrency} in flight"),
        row("Response, median", _between(seen.latency_p50_s, duration)),
        row("Response, p99", _between(seen.latency_p99_s, duration)),
        row("Memory", memory),
        "",
    ]
    return [line for line in lines if not line.endswith(" -")]


def _between(quantity: Prediction | None, show: Callable[[float], str]) -> str:
    if quantity is None:
        return "-"
    return f"{show(quantity.value)} ({show(quantity.low)} to {show(quantity.high)})"


def _decisive(setting: Setting) -> list[str]:
    sure = "pinned" if setting.pinned else f"confidence {setting.confidence}"
    return [
        f"  {setting.id:<22}{_value(setting)}  [{sure}]",
        paragraph(setting.why, indent=6),
    ]


def _finding(finding: Finding) -> list[str]:
    return [
        f"  {finding.severity.upper()}: {finding.title}",
        paragraph(finding.detail, indent=4),
        paragraph(f"-> {finding.remedy}", indent=4),
    ]


def _others(settings: list[Setting]) -> list[str]:
    lines = []
    for component in dict.fromkeys(setting.id.partition(".")[0] for setting in settings):
        lines += ["", component]
        lines += [_other(s) for s in settings if s.id.startswith(f"{component}.")]
    return lines


def _other(setting: Setting) -> str:
    name, value = setting.id.partition(".")[2], _value(setting)
    first = f"  {name:<{_NAME}}{value:<{_VALUE}} "
    return textwrap.fill(
        f"{'Pinned. ' if setting.pinned and 'inned' not in setting.why else ''}{setting.why}",
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * (3 + _NAME + _VALUE),
        break_on_hyphens=False,
    )


def _value(setting: Setting) -> str:
    match setting.value:
        case None:
            return "default"
        case bool(value):
            return "on" if value else "off"
        case int(value) | float(value) if setting.unit == "bytes":
            return size(value)
        case int(value) | float(value) if setting.unit == "s":
            return f"{value} s"
        case value:
            return str(value)
