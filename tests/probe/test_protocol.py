"""How far the protocol goes: a stepper whose steps are given by their connections."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from advisor.probe.analysis.observation import Load, Window
from advisor.probe.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from advisor.probe.sample.canary import Canary
    from advisor.probe.stepper import Stepper


class Steps:
    """Requests/s and the server's cores at so many connections, of the two there are."""

    others = None

    def __init__(self, given: Mapping[int, tuple[float, float]]) -> None:
        self.given = given
        self.lasted: dict[int, float] = {}
        self.idle: list[Window] = []
        self.held: list[object] = []
        self.stored: list[object] = []
        caps = SimpleNamespace(connections=1024, total_bytes=2**30)
        mix = SimpleNamespace(paths=("/",))
        self.loaded, self.windows = 0, list[tuple[float, int]]()
        tally = SimpleNamespace(latencies=[], routes=[], errors=0)
        self.engine = SimpleNamespace(
            caps=caps, spent=False, mix=mix, tally=tally, run_at=self.load
        )
        self.around = SimpleNamespace(
            server=None,
            pids=(),
            cores=2.0,
            host_cores=2,
            shares_limit=False,
            client_overhead_s=0.0,
        )
        self.progress: Callable[[str], None] = lambda _line: None

    def left(self) -> float:
        return 28.0

    def alone(self) -> bool:
        return True

    async def rest(self) -> None:
        """Idle."""

    def load(self, connections: int) -> None:
        self.loaded = connections

    async def drain(self) -> None:
        self.loaded = 0

    async def window(self, seconds: float, *, watched: bool) -> Window:
        assert not watched
        self.windows.append((seconds, self.loaded))
        return cast("Window", None)

    async def step(self, connections: int, *, windows: int, seconds: float, **_: Any) -> Load:
        self.lasted[connections] = windows * seconds
        rps, cores = self.given[connections]
        window = Window(
            seconds=1.0,
            completed=round(rps),
            errors=0,
            latency_sum=connections,
            server_cpu={101: cores},
            client_cpu=0.1,
            others_cpu=0.0,
            steal=0.0,
            run_queue_wait=0.0,
        )
        return Load(connections=connections, windows=(window,), latencies=())


async def nobody() -> Canary | None:
    return None


def protocol(given: Mapping[int, tuple[float, float]]) -> tuple[Protocol, Steps]:
    steps = Steps(given)
    return Protocol(cast("Stepper", steps), nobody), steps


@pytest.mark.parametrize(
    ("given", "last"),
    [
        # The rate grows with the connections, and the CPU with it, until it does not.
        ({4: (100, 0.6), 8: (200, 1.2), 16: (300, 1.9), 32: (300, 1.9)}, 32),
        # Of the 1.9 cores left all are used at 16 already: what comes then is a faster machine.
        ({4: (100, 0.6), 8: (200, 1.2), 16: (300, 1.9), 32: (400, 1.9), 64: (500, 1.9)}, 32),
        # One full step may have been chance.
        ({4: (100, 1.9), 8: (200, 1.2), 16: (300, 1.9), 32: (300, 1.9)}, 32),
        # Most wait in line at 32 and at 64: a tenth more is not by the connections.
        ({4: (100, 0.6), 8: (180, 0.6), 16: (230, 0.7), 32: (300, 0.8), 64: (330, 0.8)}, 64),
        # Half as much again is: they fell on workers that had none.
        (
            {4: (100, 0.4), 8: (130, 0.4), 16: (140, 0.4), 32: (210, 0.8), 64: (212, 0.8)}
            | {128: (212, 0.8)},
            64,
        ),
    ],
)
def test_the_doubling_ends_once_connections_cannot_bring_more(
    given: dict[int, tuple[float, float]], last: int
) -> None:
    searching, steps = protocol(given)
    searching.steps = [asyncio.run(Steps({1: (25, 0.2)}).step(1, windows=1, seconds=1.0))]
    knee, plateau = asyncio.run(searching._find_knee())
    assert plateau
    assert knee is not None
    assert knee.connections == last == max(steps.lasted)


def test_the_doubling_ends_where_answers_take_ten_times_as_long() -> None:
    """The rate still grows, by a tenth each time."""
    searching, _ = protocol({4: (28, 0.1), 8: (31, 0.1), 16: (35, 0.1), 32: (39, 0.1)})
    searching.steps = [asyncio.run(Steps({1: (25, 0.1)}).step(1, windows=1, seconds=1.0))]
    knee, plateau = asyncio.run(searching._find_knee())
    assert knee is not None
    assert (knee.connections, plateau) == (16, False)
    assert "10 times as long" in searching.stopped


def test_beside_others_one_connection_is_used_for_a_tenth_of_the_time() -> None:
    searching, steps = protocol({})
    asyncio.run(searching._bursts())
    bursts = sum(seconds for seconds, connections in steps.windows if connections)
    assert 0 < bursts <= 0.1 * sum(seconds for seconds, _ in steps.windows) + 1e-9
    assert {connections for _, connections in steps.windows} == {0, 1}


def test_two_connections_are_watched_for_as_many_answers_as_one() -> None:
    searching, steps = protocol({1: (10, 0.1), 2: (20, 0.2)})
    asyncio.run(searching._demand(response_s=0.1))
    assert steps.lasted == {1: pytest.approx(6.0), 2: pytest.approx(3.0)}
