"""A recommendation as a table for a terminal of 80 columns, the decisive first."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from advisor.quantities import count, duration, rate, size
from advisor.report.layout import WIDTH, paragraph, printed, row, unknowns
from advisor.report.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.documents import Finding, Outlook, Prediction, Recommendation, Setting, Value

# What is chosen together, whichever server it is for.
DECISIVE = frozenset(
    {
        "gunicorn.workers",
        "gunicorn.worker_class",
        "gunicorn.threads",
        "uvicorn.workers",
        "hypercorn.workers",
        "granian.workers",
        "granian.blocking_threads",
    }
)
_NAME, _VALUE = 28, 9
_WHY = 3 + _NAME + _VALUE
# The words of `manage` that make a component's files ours, servers aside.
PARTS = {
    "nginx": "proxy",
    "caddy": "proxy",
    "systemd": "systemd",
    "sysctl": "sysctl",
    "redis": "redis",
    "celery": "workers",
    "rq": "workers",
}


@dataclass(frozen=True)
class Beside:
    """What the table says beside the document.

    `defaults` are the products' own values, by setting: what equals them is left out. `now` is
    how the server runs, `by_hand` the settings whose files are not ours to write (`manage`),
    and `refusal` the keys because of which it writes none for this recommendation.
    """

    defaults: Mapping[str, Value] = field(default_factory=dict)
    now: Mapping[str, Value] = field(default_factory=dict)
    by_hand: frozenset[str] = frozenset()
    refusal: str | None = None

    def is_default(self, setting: Setting) -> bool:
        """Whether nothing has to be done for it: the product has this value by itself."""
        if setting.pinned or setting.id in DECISIVE:
            return False
        return setting.value is None or setting.value == self.defaults.get(setting.id)

    def marks(self, setting: Setting) -> bool:
        """Whether it has to be set by hand though `advisor render` writes the rest."""
        return self.refusal is None and setting.id in self.by_hand


NOTHING_ELSE = Beside()


def table(
    rec: Recommendation,
    *,
    saved_as: str | None = None,
    beside: Beside = NOTHING_ELSE,
    everything: bool = False,
) -> str:
    """What to set and why, what is wrong, the rest, what is not known, and what to type next.

    `saved_as` is the file the recommendation was written to, for the last line. Settings that
    their products have by themselves are only counted, unless `everything` is asked for.
    """
    decisive = [setting for setting in rec.settings if setting.id in DECISIVE]
    others = [setting for setting in rec.settings if setting.id not in DECISIVE]
    kept = [s for s in others if everything or not beside.is_default(s)]
    files = [setting for setting in kept if setting.applied_by != "code"]
    lines = [
        textwrap.fill(f"{rec.app.name} ({rec.app.module}) on {rec.host.name}", WIDTH),
        "",
        *_outlook(rec.prediction),
        *(line for setting in decisive for line in _decisive(setting, beside)),
        *(["", "Findings"] if rec.findings else []),
        *(line for finding in rec.findings for line in _finding(finding)),
        *_components(files, beside),
        *_code([setting for setting in kept if setting.applied_by == "code"]),
        *_left_out(len(others) - len(kept)),
        *unknowns(rec.unknown),
        "",
        "Next",
        *_next(saved_as, beside),
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


def _decisive(setting: Setting, beside: Beside) -> list[str]:
    sure = "pinned" if setting.pinned else f"confidence {setting.confidence}"
    return [
        f"  {setting.id:<21} {shown(setting.value, setting.unit)}  [{sure}]",
        paragraph(setting.why, indent=6),
        *_change(setting, beside.now),
    ]


def _change(setting: Setting, now: Mapping[str, Value]) -> list[str]:
    """What runs now where it is another, and what the runner-up among the classes would give."""
    said = []
    runs = now.get(setting.id)
    if runs is not None and runs != setting.value:
        said.append(f"Now: {shown(runs, setting.unit)}.")
    if setting.id.endswith(".worker_class") and setting.alternatives and not setting.pinned:
        best = setting.alternatives[0]
        rps = f": {rate(best.throughput_rps)}" if best.throughput_rps is not None else ""
        memory = f", {size(best.memory_bytes)}" if best.memory_bytes is not None else ""
        said.append(f"Instead {best.why or shown(best.value)}{rps}{memory}.")
    return [paragraph(" ".join(said), indent=6)] if said else []


def _finding(finding: Finding) -> list[str]:
    return [
        paragraph(f"{finding.severity.upper()}: {finding.title}"),
        paragraph(finding.detail, indent=4),
        paragraph(f"-> {finding.remedy}", indent=4),
    ]


def _components(settings: list[Setting], beside: Beside) -> list[str]:
    lines = []
    for component in dict.fromkeys(setting.id.partition(".")[0] for setting in settings):
        own = [s for s in settings if s.id.startswith(f"{component}.")]
        lines += ["", component, *(line for s in own for line in _other(s, beside))]
    if marked := [setting for setting in settings if beside.marks(setting)]:
        parts = dict.fromkeys(PARTS.get(s.id.partition(".")[0], "server") for s in marked)
        text = (
            f"* Not among what is ours to write: add {', '.join(parts)} to manage in advisor.yml."
        )
        lines += ["", paragraph(text)]
    return lines


def _other(setting: Setting, beside: Beside) -> list[str]:
    """Name, value and reason in columns; a long value takes lines of its own."""
    name = setting.id.partition(".")[2] + "*" * beside.marks(setting)
    value = shown(setting.value, setting.unit)
    fits = len(name) < _NAME and len(value) <= _VALUE
    first = f"  {name:<{_NAME}}{value:<{_VALUE}} " if fits else " " * _WHY
    own = [] if fits else _wrapped(value, f"  {name:<{_NAME - 1}} ", 2 + _NAME)
    return [*own, *_wrapped(_why(setting), first, _WHY)]


def _wrapped(text: str, first: str, indent: int) -> list[str]:
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first if len(first) < WIDTH - 10 else f"{first.rstrip()[: WIDTH - 12]} ",
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def _why(setting: Setting) -> str:
    return f"{'Pinned. ' if setting.pinned and 'inned' not in setting.why else ''}{setting.why}"


def _code(settings: list[Setting]) -> list[str]:
    """Settings that only the app's code can take, each with the lines to paste, unbroken."""
    lines = []
    for setting in settings:
        value = shown(setting.value, setting.unit)
        lines += _wrapped(value, f"  {setting.id:<{_NAME - 1}} ", 4)
        lines.append(paragraph(_why(setting), indent=4))
        if not _pasted_by_another(setting, settings):
            paste = (setting.paste or "").splitlines()
            lines += [f"      {line}".rstrip() for line in paste]
    return ["", "In your code", *lines] if lines else []


def _pasted_by_another(setting: Setting, settings: list[Setting]) -> bool:
    """Whether all its lines stand in another's: a pool's options are pasted once, together."""
    own = set((setting.paste or "").splitlines())
    after = settings[settings.index(setting) + 1 :]
    return any(
        own < (lines := set((other.paste or "").splitlines())) or (other in after and own == lines)
        for other in settings
    )


def _left_out(number: int) -> list[str]:
    if not number:
        return []
    stay = "stays as its product has it" if number == 1 else "stay as their products have them"
    return ["", paragraph(f"{count(number, 'setting')} {stay}; --all shows every one.")]


def _next(saved_as: str | None, beside: Beside) -> list[str]:
    if beside.refusal:
        text = f"Set this by hand: advisor render has no files for: {beside.refusal}."
        return [paragraph(text)]
    if saved_as:
        return [f"  advisor render {saved_as} -o deploy"]
    return ["  the same command with -o rec.yml, then: advisor render rec.yml -o deploy"]
