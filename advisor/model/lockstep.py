"""Requests whose waits are alike stay together: they compute at once, and wait at once.

A closed load of customers that compute in turns is solved exactly where their times vary
(queueing.py). Where they do not, those that came together come back together, each waits for all
of the others' computing, and cores idle while all are away. How far an app's load is in step is
told by its own measurement: 1 is entirely. Of `def` routes that sleep for 50 ms, 8 requests took
54.3 ms, where 50.8 is due and 55.2 entirely in step; 16 took 55.0, of 50.8 and 59.7. Where the
cores are full it does not matter, for a queue keeps them busy; half full they still idle while all
are away: 64 on one worker's 40 threads, which used 0.43 of a core, took 25 ms longer than alone, of
33 entirely in step.
"""

from __future__ import annotations


def excess_s(inside: int, *, even_s: float, away_s: float, cpu_s: float, cores: float) -> float:
    """What `inside` requests entirely in step take longer than `even_s`, as exactly solved.

    Each is `away_s` off the CPU, and sees the CPU of all of them pass.

    >>> round(excess_s(4, even_s=0.022, away_s=0.020, cpu_s=0.001, cores=1.0), 6)
    0.002
    """
    return max(0.0, away_s + inside * cpu_s / cores - even_s)


def slack(used: float) -> float:
    """How much of an excess is left where so much of the cores is `used`.

    >>> slack(0.0), slack(0.5), slack(1.0)
    (1.0, 0.75, 0.0)
    """
    return max(0.0, 1 - used**2)
