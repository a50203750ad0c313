from __future__ import annotations

import asyncio
import select
import statistics
import time
from itertools import islice

from advisor.probe.load.arrivals import Alarm, gaps


def test_gaps_are_exponential_with_the_rate() -> None:
    some = list(islice(gaps(500.0), 20_000))
    mean = statistics.fmean(some)
    assert abs(mean * 500 - 1) < 0.03
    # An exponential's standard deviation is its mean.
    assert abs(statistics.stdev(some) / mean - 1) < 0.05
    assert list(islice(gaps(500.0), 5)) == some[:5]


def test_an_alarm_never_goes_off_early() -> None:
    alarm = Alarm()
    try:
        for ahead in (0.0, 0.0003, 0.01):
            at = time.perf_counter() + ahead
            alarm.set(at)
            assert select.select([alarm.descriptor], [], [], 5)[0]
            assert time.perf_counter() >= at
            alarm.clear()
        alarm.set(0.0)  # long past: at once
        assert select.select([alarm.descriptor], [], [], 5)[0]
    finally:
        alarm.close()


def test_an_alarm_wakes_a_loop() -> None:
    async def work() -> bool:
        alarm, rung = Alarm(), asyncio.Event()
        asyncio.get_running_loop().add_reader(alarm.descriptor, rung.set)
        alarm.set(time.perf_counter() + 0.001)
        async with asyncio.timeout(5):
            await rung.wait()
        asyncio.get_running_loop().remove_reader(alarm.descriptor)
        alarm.close()
        return True

    assert asyncio.run(work())
