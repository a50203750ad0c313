"""One alert: what it says of a figure, to whom it matters, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]

# The share of a limit at which there is still time to act.
NEAR_RATIO = 0.9
# The host, where the figure says it: what is absent has none.
ON = "{{ with $labels.instance }}{{ . }}: {{ end }}"


@dataclass(frozen=True)
class Alert:
    """One alert and its panel.

    It fires where `value`, in PromQL, is `bad` for as long as `lasts`; with `or_absent` also
    where there is no such figure, with `only_if` only while that holds on the same host. `unit`
    is Grafana's word for the panel's axis. `why` is the reason of the limit, where a setting
    has it.
    """

    name: str
    value: str
    bad: tuple[Literal["==", ">", "<", ">="], float]
    lasts: str
    severity: Severity
    says: str
    remedy: str
    unit: str = "short"
    or_absent: bool = False
    only_if: str | None = None
    why: str | None = None

    @property
    def expr(self) -> str:
        """The whole condition."""
        sign, limit = self.bad
        only = f" and on (instance) {self.only_if}" if self.only_if else ""
        absent = f" or absent({self.value})" if self.or_absent else ""
        return f"{self.value} {sign} {limit}{only}{absent}"
