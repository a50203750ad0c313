"""The concentration that is fitted to launches."""

from __future__ import annotations

import os
import random
import socket

import pytest

from benchmarks.regret import falling


def drawn(concentration: float, workers: int, population: int, draw: random.Random) -> list[int]:
    """Each connection goes where those before it went, or elsewhere (Polya's urn)."""
    held = [0] * workers
    for _ in range(population):
        (taken,) = draw.choices(range(workers), [concentration + each for each in held])
        held[taken] += 1
    return held


@pytest.mark.parametrize("concentration", [0.05, 0.3, 2.0, 20.0])
def test_it_is_found_again_in_what_was_drawn_by_it(concentration: float) -> None:
    draw = random.Random(1)
    launches = [drawn(concentration, 24, 64, draw) for _ in range(60)]
    assert falling.concentration(launches) == pytest.approx(concentration, rel=0.25)


def test_all_on_one_worker_and_an_even_spread_are_the_ends() -> None:
    assert falling.concentration([[64, 0, 0, 0]] * 4) == pytest.approx(falling.LEAST)
    assert falling.concentration([[16, 16, 16, 16]] * 4) == pytest.approx(falling.MOST)


def test_only_established_connections_of_the_port_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            taken, _ = listener.accept()
            with taken:
                assert falling.held(os.getpid(), port) == 1
                assert falling.held(os.getpid(), port + 1) == 0
