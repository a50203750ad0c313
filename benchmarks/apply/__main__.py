"""Does an apply disturb anybody, what does it cost where nothing changes, how soon is it undone?

    python -m benchmarks.apply [--quick] [--hosts 5] [--release debian-12] [--proxy nginx]
        [rolling idle returning]

Real hosts boot on this machine (as root; see tests/lab), and the command reaches them over SSH.
`rolling`: an nginx, or with `--proxy caddy` a Caddy, balances three of them under a constant load
while a change that restarts the app's server, one that reloads it, and the rollback of both go
through; each connection error, status other than 2xx and short answer is a lost request. `idle`: an
apply with nothing to do takes turns with Ansible's own gathering of facts. `returning`: an apply
that harms is taken back; the time is from the journal's line that the gate failed. Without names:
all three. `--quick` only shows that it works.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.apply.fleet import Fleet
from benchmarks.apply.idle import idle
from benchmarks.apply.returning import returning
from benchmarks.apply.rolling import RATE, rolling
from benchmarks.table import show
from tests.lab.bases import RELEASES, lacking
from tests.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.table import Figure

PARTS = ("rolling", "idle", "returning")
BALANCED = 3
PAIRS, TIMES = 5, 5


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.apply",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--hosts", type=int, default=5, help="for an apply with nothing to do")
    parser.add_argument("--release", choices=list(RELEASES), default="debian-12")
    parser.add_argument("--proxy", choices=("nginx", "caddy"), default="nginx", help="for rolling")
    parser.add_argument("--dwell", default="5", metavar="S", help="seconds that the gate watches")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    wanted = parser.parse_args()
    wanted.parts = wanted.parts or list(PARTS)
    if unknown := sorted(set(wanted.parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    if wanted.hosts < BALANCED:
        parser.error(f"--hosts: at least {BALANCED}, which the load balancer stands before")
    return wanted


def main() -> int:
    """Print the tables; 1 where a limit is missed."""
    asked = options()
    if (reason := lacking()) is not None:
        print(f"not run: {reason}", file=sys.stderr)
        return 1
    pairs, times, dwell = (1, 1, "1") if asked.quick else (PAIRS, TIMES, asked.dwell)
    with Lab() as lab, tempfile.TemporaryDirectory() as folder:
        names = [f"web{number}" for number in range(1, asked.hosts + 1)]
        booted = [lab.boot(asked.release, name, wait=False) for name in [*names, "lb"]]
        for host in booted:
            host.wait()
        *webs, balancer = booted
        fleet = Fleet(lab, webs, Path(folder))
        tables: dict[str, tuple[str, Callable[[], list[Figure]]]] = {
            "rolling": (
                f"Rolling through {BALANCED} hosts behind {asked.proxy}, {RATE} requests/s",
                lambda: rolling(fleet.first(BALANCED), balancer, proxy=asked.proxy, dwell=dwell),
            ),
            "idle": (
                "An apply with nothing to do",
                lambda: idle(fleet, (1, asked.hosts), pairs=pairs, dwell=dwell),
            ),
            "returning": (
                "From a gate that fails to the old configuration",
                lambda: returning(fleet, times=times, dwell=dwell),
            ),
        }
        chosen = [table for part, table in tables.items() if part in asked.parts]
        kept = [show(title, taken()) for title, taken in chosen]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
