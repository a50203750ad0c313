"""The lines of a unit: the settings' own, and which of them the target's systemd has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.rules.versions import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from advisor.render.quoting import Scalar
    from advisor.render.values import Inputs

# What is written for where the target's version is not known: from this one on all of it works, and
# what later ones added is passed over with a warning (systemd.unit(5), on unknown options).
ASSUMED = 239


@dataclass(frozen=True)
class Directive:
    """One line of a unit, and the lines that are said above it.

    `can` is what it takes of systemd (rules/versions.py), nothing where every one of the last ten
    years has it. `suffix` follows the last word: a percent sign, which inside a word would be a
    specifier.
    """

    name: str
    words: tuple[Scalar, ...]
    can: str | None = None
    says: tuple[str, ...] = ()
    suffix: str = ""


@dataclass(frozen=True)
class Limit:
    """The directive of a setting, and what it takes of systemd."""

    id: str
    name: str
    can: str | None = None
    suffix: str = ""


QUOTA = Limit("systemd.cpu_quota", "CPUQuota", suffix="%")
LIMITS = (
    Limit("systemd.timeout_start_sec", "TimeoutStartSec"),
    Limit("systemd.timeout_stop_sec", "TimeoutStopSec"),
    Limit("systemd.restart_sec", "RestartSec"),
    Limit("systemd.oom_policy", "OOMPolicy", "oom_policy"),
    Limit("systemd.limit_nofile", "LimitNOFILE"),
    Limit("systemd.tasks_max", "TasksMax", "tasks_max"),
    Limit("systemd.memory_high", "MemoryHigh", "memory_high"),
    Limit("systemd.memory_max", "MemoryMax", "memory_max"),
    Limit("systemd.cpu_weight", "CPUWeight", "cpu_weight"),
)
BACKLOG = Limit("systemd.socket_backlog", "Backlog")
LOCKS = (
    Limit(
        "systemd.memory_deny_write_execute", "MemoryDenyWriteExecute", "memory_deny_write_execute"
    ),
    Limit("systemd.proc_subset", "ProcSubset", "proc_subset"),
)


def of_settings(inputs: Inputs, limits: Iterable[Limit]) -> list[Directive]:
    """The directives of those settings that have a value, each with its reason."""
    return [
        Directive(
            limit.name,
            (inputs.values[limit.id],),
            limit.can,
            says=(inputs.why[limit.id],),
            suffix=limit.suffix,
        )
        for limit in limits
        if inputs.values[limit.id] is not None
    ]


def known(inputs: Inputs, directives: Iterable[Directive]) -> list[Directive]:
    """Those that the target's systemd has, or may have: an older one passes over what it lacks."""
    return [each for each in directives if each.can is None or not is_older(inputs, each.can)]


def missing(inputs: Inputs, directives: Iterable[Directive]) -> list[str]:
    """Why the others are left out: a line each."""
    return [
        f"{_assignment(each)} is left out: it needs systemd {first}; the target's version is "
        f"{inputs.found('systemd')}."
        for each in directives
        if each.can and is_older(inputs, each.can)
        for first in CAPABILITIES[f"systemd.{each.can}"].first
    ]


def assumed(inputs: Inputs) -> list[str]:
    """What it means that the target's version is not known, where it is not."""
    if "systemd" in inputs.versions:
        return []
    return [
        f"The target's systemd is not known: this is written for {ASSUMED} or later. One that does",
        "not know a line passes over it, with a warning in its journal.",
    ]


def is_older(inputs: Inputs, can: str) -> bool:
    """Whether the target's systemd is known to be older than what it takes."""
    return "systemd" in inputs.versions and not inputs.can(f"systemd.{can}")


def _assignment(directive: Directive) -> str:
    """The name, with its words where the words are what is new: `SystemCallFilter=@x`."""
    words: Sequence[str] = [word for word in directive.words if isinstance(word, str)]
    groups = [word for word in words if word.startswith("@")]
    return f"{directive.name}={groups[0]}" if groups else directive.name
