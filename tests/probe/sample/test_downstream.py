from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from advisor.probe.sample import downstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parents[2]
# Two connections of which it holds both ends; all four are its own, whatever the port. A third one
# has been closed by its other end, which nobody asks any more.
HOLDS_TWO = """
import socket, sys
from tests import loopback
if sys.argv[1] == "apart":
    loopback.own()
server = socket.create_server(("127.0.0.1", 0))
ends = [socket.create_connection(server.getsockname()) for _ in range(3)]
ends += [server.accept()[0] for _ in range(3)]
ends.pop().close()
while ends[2].recv(1):
    pass
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(
    request: pytest.FixtureRequest, not_run: Callable[[str], NoReturn]
) -> Iterator[tuple[int, int]]:
    """A process that holds both ends of two connections, and the port that it serves them at."""
    where: str = request.param
    if where == "apart" and os.geteuid() != 0:
        not_run("only root can make a network namespace")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_TWO, where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS.parent,
    ) as process:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())


@pytest.mark.parametrize("holder", ["beside", "apart"], indirect=True)
def test_connections_to_others_count_in_our_network_and_in_a_containers(
    holder: tuple[int, int],
) -> None:
    pid, port = holder
    assert downstream.count([pid], server_port=port) == 2
    assert downstream.count([pid, os.getpid()], server_port=port) == 2
    assert downstream.count([pid], server_port=1) == 4


@pytest.mark.parametrize("holder", ["beside"], indirect=True)
def test_ended_connections_are_not_even_read(
    holder: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of all sockets holds what is in TIME_WAIT too, tens of thousands of a sync app's."""

    def read_text(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    assert downstream.count([holder[0]], server_port=holder[1]) == 2


@pytest.mark.parametrize("holder", ["beside"], indirect=True)
def test_a_kernel_that_does_not_tell_of_its_sockets_has_a_text_still(
    holder: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(socket, "socket", unsupported)
    assert downstream.count([holder[0]], server_port=holder[1]) == 2


def test_a_process_that_has_gone_holds_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert downstream.count([process.pid], server_port=1) == 0


def test_only_established_connections_of_a_text_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port not in downstream.parse(Path("/proc/net/tcp").read_text()).values()
