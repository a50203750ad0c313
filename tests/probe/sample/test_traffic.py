from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from advisor.probe.sample.traffic import Watch, connections

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client:
            while data := client.recv(4096):
                client.sendall(data)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def say(client: socket.socket) -> None:
    client.sendall(b"x" * 100)
    assert client.recv(4096)


def bytes_of(client: socket.socket, port: int) -> int:
    """The port may be one that an earlier test's server had, whose TIME_WAITs are seen too."""
    (moved,) = (c.bytes_moved for c in connections(port) if c.peer == client.getsockname())
    return moved


def test_a_connection_and_its_bytes_are_seen(echo: int) -> None:
    with socket.create_connection(("127.0.0.1", echo)) as client:
        say(client)
        before = bytes_of(client, echo)
        assert before >= 100
        say(client)
        assert bytes_of(client, echo) >= before + 100


def test_an_idle_connection_is_no_traffic(echo: int) -> None:
    with socket.create_connection(("127.0.0.1", echo)) as client:
        say(client)
        watch = Watch(echo, set)
        assert [watch.look() for _ in range(5)] == [None] * 5


def test_requests_on_an_old_connection_are_traffic(echo: int) -> None:
    with socket.create_connection(("127.0.0.1", echo)) as client:
        say(client)
        watch = Watch(echo, set)
        assert watch.look() is None
        say(client)
        assert "requests on a connection" in str(watch.look())


def test_a_new_connection_is_traffic_even_when_it_has_ended(echo: int) -> None:
    watch = Watch(echo, set)
    assert watch.look() is None
    with socket.create_connection(("127.0.0.1", echo)) as client:
        say(client)
    looks = [watch.look() for _ in range(3)]
    assert "a new connection" in str(looks[-1])


def test_our_own_connections_are_none(echo: int) -> None:
    ours: set[tuple[str, int]] = set()
    watch = Watch(echo, lambda: ours)
    assert watch.look() is None
    with socket.create_connection(("127.0.0.1", echo)) as client:
        first = watch.look()  # the kernel shows it before we have noted it
        ours.add(client.getsockname())
        say(client)
        assert [first, watch.look(), watch.look()] == [None] * 3


def test_an_old_time_wait_is_none(echo: int) -> None:
    with socket.create_connection(("127.0.0.1", echo)) as client:
        say(client)
    watch = Watch(echo, set)
    assert [watch.look() for _ in range(3)] == [None] * 3


def test_ipv6_and_mapped_peers() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        with (
            socket.create_connection(("127.0.0.1", port)) as four,
            socket.create_connection(("::1", port)) as six,
        ):
            peers = {connection.peer for connection in connections(port)}
            assert peers >= {four.getsockname()[:2], six.getsockname()[:2]}
