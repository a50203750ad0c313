"""Every benchmark in turn; exits 1 where a figure misses its limit. `make bench` runs it."""

from __future__ import annotations

import sys

from benchmarks import client, observation, proof, startup
from benchmarks.table import show

if __name__ == "__main__":
    kept = [
        show("Start-up and cost", [*startup.start_up(), *startup.probe()]),
        show(f"Load clients, {client.CONNECTIONS} connections", client.measure()),
        show("Observation against probe, the same traffic", observation.measure()),
        show("The proof", proof.measure()),
    ]
    sys.exit(0 if all(kept) else 1)
