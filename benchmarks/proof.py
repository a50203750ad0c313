"""The demo's two apps, before and after, by wrk through nginx: what the README claims."""

from __future__ import annotations

import tempfile
from pathlib import Path

from advisor.demo.run import demonstrate, scenarios
from benchmarks.table import Figure


def measure() -> list[Figure]:
    """Requests a second as recommended, over those of the naive launch."""
    least = {"demo-async": 1.0, "demo-waiting": 5.0}
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for scenario in scenarios():
            seen = demonstrate(scenario, Path(folder) / scenario.name, lambda _text: None)
            gain = seen.after.rps / seen.before.rps
            figures.append(
                Figure(
                    f"{scenario.name}: recommended / naive", gain, "x", least=least[scenario.name]
                )
            )
    return figures
