"""Long work that a signal ends cleanly."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, TypeVar

import uvloop

from advisor.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run_until_signal(work: Coroutine[object, object, T]) -> T:
    """Run `work` to its end; SIGINT or SIGTERM cancels it, which ends its load at once.

    Raises `Interrupted` with the signal. The handlers that were there before are back afterwards.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_signal(work))


async def _until_signal(work: Coroutine[object, object, T]) -> T:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    received: list[int] = []

    def cancel(signum: int) -> None:
        received.append(signum)
        task.cancel()

    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    for signum in before:
        loop.add_signal_handler(signum, cancel, signum)
    try:
        return await task
    except asyncio.CancelledError:
        if received:
            raise Interrupted(received[0]) from None
        raise
    finally:
        for signum, handler in before.items():
            loop.remove_signal_handler(signum)
            signal.signal(signum, handler)
