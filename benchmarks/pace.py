"""How fast the machine is while something is measured: what a fixed piece of work takes of CPU.

    python -m benchmarks.pace CPU      (a line for each piece: when, and its CPU seconds)

A virtual machine's cores are fast or slow by turns, each by itself and by a factor of up to 1.9, so
two loads apart in time differ by more than what they are compared for: fourteen loads of one app by
one client by a standard deviation of 24 % in their CPU a request (of another app 11 %), and by 4 %
(3 %) once it is taken over what a piece cost meanwhile. A piece is Python and system calls, as a
request is; one every `EVERY_S` takes about 2 % of one core, often and short because cores change
within seconds.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVERY_S = 0.1
# Rounds of a piece, and before it those that warm the caches which others have filled.
ROUNDS, WARM_UP = 50, 25
DOCUMENT = {"rows": [{"id": number, "name": f"row {number}", "price": 1.5} for number in range(12)]}


def work(one: socket.socket, other: socket.socket, rounds: int) -> float:
    """CPU seconds that so many rounds take of this thread."""
    began = time.thread_time()
    for _ in range(rounds):
        one.send(json.dumps(DOCUMENT).encode())
        rows = json.loads(other.recv(65536))["rows"]
        sorted(rows, key=lambda row: (row["price"], -row["id"]))
    return time.thread_time() - began


class Pace:
    """The pieces done so far by the process that does them."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def during(self, began: float, ended: float) -> float:
        """CPU seconds of a piece between two times of the monotonic clock: the lower quartile.

        Not the median, for a piece on a core that had slept, or beside a full one, takes up to
        twice as long, and that is no more the machine's speed. `ValueError` for fewer than two.
        """
        return statistics.quantiles(self._pieces((began, ended)), n=4)[0]

    def rate(self, *spans: tuple[float, float]) -> float:
        """Pieces that a CPU second is worth in some stretches of the monotonic clock: the mean.

        What a load met that kept the core busy: a core is fast or slow by turns, within seconds.
        `ValueError` for fewer than two.
        """
        return statistics.fmean(1 / spent for spent in self._pieces(*spans))

    def _pieces(self, *spans: tuple[float, float]) -> list[float]:
        # The last line may be half written.
        lines = self._log.read_text().splitlines(keepends=True)
        told = (line.split() for line in lines if line.endswith("\n"))
        done = [(float(when), float(spent)) for when, spent in told]
        pieces = [spent for when, spent in done if any(a <= when <= b for a, b in spans)]
        if len(pieces) < 2:
            raise ValueError("too few pieces of work were done meanwhile: the load was too short")
        return pieces


@dataclass(frozen=True)
class Speed:
    """The pieces on every CPU."""

    paces: Sequence[Pace]

    def during(self, *spans: tuple[float, float]) -> float:
        """CPU seconds of a piece in some stretches of time, as a load on all CPUs would meet it.

        Over the mean of the rates: whoever is fast half of the time does most then. `ValueError`
        where they were too short for two pieces on each.
        """
        return 1 / statistics.fmean(each.rate(*spans) for each in self.paces)


@contextmanager
def speed() -> Iterator[Speed]:
    """Pieces of work on every CPU while the `with` lasts."""
    with ExitStack() as stack:
        yield Speed([stack.enter_context(pace(cpu)) for cpu in sorted(os.sched_getaffinity(0))])


@contextmanager
def pace(cpu: int) -> Iterator[Pace]:
    """Pieces of work on one CPU while the `with` lasts."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "pieces"
        words = [sys.executable, "-m", "benchmarks.pace", str(cpu)]
        with log.open("w") as out:
            process = subprocess.Popen(words, stdout=out)
        try:
            yield Pace(log)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    """Do pieces, and print them, until ended."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    with_itself = socket.socketpair()
    while True:
        work(*with_itself, WARM_UP)
        spent = work(*with_itself, ROUNDS)
        print(f"{time.monotonic():.3f} {spent:.6f}", flush=True)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
