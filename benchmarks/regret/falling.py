"""How do kept-alive connections fall on workers? Launches, and the concentration that fits them.

    python -m benchmarks.regret.falling [--launches 4] [--workers 8,24,48] [APP ...]

Each launch stands behind nginx and is loaded as in the grid; then every worker's connections are
counted. The concentration is that of advisor/model/spread.py: the model's own are fitted to this.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import statistics
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from advisor.demo.processes import referee
from benchmarks.regret.apps import CASES
from benchmarks.regret.launch import CONNECTIONS, LOAD_S, tree, used, warm
from benchmarks.regret.points import UVICORN_WORKER, Config
from benchmarks.scheduler import one_scheduler_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.regret.apps import Case

# Fine enough for a figure that launches tell to a quarter; beyond the ends all are alike.
LEAST, MOST, STEPS = 0.003, 300.0, 200
APPS = ("async computing", "async waiting", "a pool of 5")


@dataclass(frozen=True)
class Fallen:
    """One launch: requests/s, the CPUs that its processes used, each worker's connections."""

    rps: float
    cores: float
    held: tuple[int, ...]


def concentration(launches: Sequence[Sequence[int]]) -> float:
    """The most likely concentration of workers that held so many connections each, by launches.

    Dirichlet-multinomial with one parameter for all workers (Minka 2000, *Estimating a Dirichlet
    distribution*), searched on a grid of logarithms.
    """
    grid = (LEAST * (MOST / LEAST) ** (step / STEPS) for step in range(STEPS + 1))
    return max(grid, key=lambda each: sum(_likelihood(each, held) for held in launches))


def _likelihood(each: float, held: Sequence[int]) -> float:
    """The logarithm of how likely one launch is, less what does not depend on the parameter."""
    total = len(held) * each
    own = sum(math.lgamma(number + each) - math.lgamma(each) for number in held)
    return own + math.lgamma(total) - math.lgamma(sum(held) + total)


def fall(case: Case, config: Config) -> Fallen:
    """Launch it, load it, and count."""
    with warm(case, config) as (pid, port, url):
        pids = tree(pid)
        before = used(pids)
        with ThreadPoolExecutor(1) as beside:
            load = beside.submit(referee, url, seconds=LOAD_S, connections=CONNECTIONS)
            # Under load: nginx closes those whose client has gone without its answer.
            time.sleep(LOAD_S / 2)
            fallen = tuple(held(worker, port) for worker in pids[1:])
            rps = load.result().rps
        return Fallen(rps, (used(pids) - before) / LOAD_S, fallen)


def held(pid: int, port: int) -> int:
    """The connections that a process keeps on its port; those of one that is gone are none."""
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return 0
    here = (each for each in found if each.status == psutil.CONN_ESTABLISHED)
    return sum(each.laddr.port == port for each in here)


def line(case: Case, config: Config, launches: Sequence[Fallen]) -> str:
    """What all launches of one configuration say."""
    rps = statistics.median(each.rps for each in launches)
    cores = statistics.median(each.cores for each in launches)
    most = " ".join(str(max(each.held)) for each in launches)
    none = statistics.mean(each.held.count(0) for each in launches)
    fitted = concentration([each.held for each in launches])
    return (
        f"  {case.name:<18} {config!s:<18} {rps:>7,.0f} {cores:>6.2f} {fitted:>13.3f}"
        f" {none:>7.1f}  {most}"
    )


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=4)
    parser.add_argument("--workers", default="8,24,48", help="numbers of workers")
    parser.add_argument("apps", nargs="*", metavar="APP", help="; ".join(c.name for c in CASES))
    return parser.parse_args()


def main() -> int:
    """Launch all in turns, and print a line each."""
    wanted = options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended first
    cases = [case for case in CASES if case.name in (wanted.apps or APPS)]
    sizes = [int(size) for size in wanted.workers.split(",")]
    todo = [
        (case, Config(name, size))
        for case in cases
        for size in sizes
        for name in (UVICORN_WORKER, "asgi")
    ]
    found: dict[tuple[str, Config], list[Fallen]] = defaultdict(list)
    with one_scheduler_group():
        for turn in range(wanted.launches):
            for case, config in random.sample(todo, len(todo)):
                found[case.name, config].append(fall(case, config))
                latest = found[case.name, config][-1]
                print(
                    f"    {turn + 1}: {case.name}, {config}: {latest.rps:,.0f} requests/s, "
                    f"{sorted(latest.held, reverse=True)}",
                    file=sys.stderr,
                    flush=True,
                )
    print(
        f"  {'app':<18} {'configuration':<18} {'rps':>7} {'cores':>6} {'concentration':>13}"
        f" {'without':>7}  most of one worker"
    )
    for case, config in todo:
        print(line(case, config, found[case.name, config]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
