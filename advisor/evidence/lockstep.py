"""How far an app's requests are in step under a closed load, by the probe's own steps. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.model.lockstep import excess_s, slack
from advisor.model.queueing import closed_throughput

if TYPE_CHECKING:
    from advisor.documents import Measurement
    from advisor.model.classes import WorkerClass

# Near the most that was reached something else holds requests up.
FREE_RATIO = 0.75
# What waits for less is off the CPU for other reasons than a wait.
WAITS_S = 0.001


def lockstep(measurement: Measurement, worker_class: WorkerClass | None, wait_s: float) -> float:
    """From 0, as likely as not together, to 1, all together; 0 where that is not told.

    Of each step with several connections: what a request took longer than the exact solution has
    it, over what it would entirely in step.
    """
    left = measurement.limiter.evidence.get("cpu_left_cores")
    steps, workers = measurement.throughput.steps, measurement.target.workers
    if not (isinstance(left, int | float) and left > 0 and workers and steps):
        return 0.0
    if wait_s < WAITS_S or (worker_class is not None and worker_class.kind == "one"):
        return 0.0
    cores = min(left, float(workers))
    most_rps = max(step.rps for step in steps)
    seen = due = 0.0
    for step in steps:
        number, cpu_s = step.connections, step.cpu_per_request_s
        if number < 2 or not cpu_s or not 0 < step.rps < FREE_RATIO * most_rps:
            continue
        rate = [min(each, cores) / cpu_s for each in range(number + 1)]
        even_s = number / closed_throughput(number, wait_s, rate.__getitem__)
        full_s = excess_s(number, even_s=even_s, away_s=wait_s, cpu_s=cpu_s, cores=cores)
        seen += number / step.rps - even_s
        due += full_s * slack(step.rps * cpu_s / cores)
    return min(1.0, max(0.0, seen / due)) if due > 0 else 0.0
