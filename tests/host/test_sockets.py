from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.host import sockets
from advisor.host.sockets import Address, Listener

if TYPE_CHECKING:
    from pathlib import Path

TCP_HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
UNIX_HEADER = "Num       RefCount Protocol Flags    Type St Inode Path\n"


def kernel_row(listener: Listener, state: str = "0A") -> str:
    """A row of /proc/net/tcp as net/ipv4/tcp_ipv4.c prints it."""
    words = struct.unpack(f"={len(listener.address.packed) // 4}I", listener.address.packed)
    local = "".join(f"{word:08X}" for word in words)
    remote = "0" * len(local)
    return (
        f"   0: {local}:{listener.port:04X} {remote}:0000 {state} 00000000:00000000 00:00000000 "
        f"00000000 {listener.uid:>5}        0 {listener.inode} 1 0000000000000000 100 0 0 10 0\n"
    )


LISTENERS = st.builds(
    Listener,
    address=st.ip_addresses().filter(lambda a: not getattr(a, "ipv4_mapped", None)),
    port=st.integers(1, 65535),
    uid=st.integers(0, 2**32 - 2),
    inode=st.integers(1, 2**32 - 1),
)


@given(st.lists(LISTENERS))
def test_what_the_kernel_prints_is_read_back(listeners: list[Listener]) -> None:
    text = TCP_HEADER + "".join(map(kernel_row, listeners))
    assert sockets.parse_tcp(text) == listeners


@given(LISTENERS)
def test_connections_are_no_listeners(listener: Listener) -> None:
    assert sockets.parse_tcp(TCP_HEADER + kernel_row(listener, state="01")) == []


def test_the_byte_order_is_the_machines() -> None:
    row = kernel_row(Listener(ipaddress.ip_address("127.0.0.1"), 80, 0, 1))
    swapped = row.replace("0100007F", "7F000001")
    assert sockets.parse_tcp(TCP_HEADER + swapped, byteorder="big") == sockets.parse_tcp(
        TCP_HEADER + row, byteorder="little"
    )


def test_a_v4_address_mapped_into_v6_is_a_v4_address() -> None:
    text = TCP_HEADER + kernel_row(Listener(ipaddress.ip_address("::ffff:10.0.0.1"), 80, 0, 1))
    assert [str(listener) for listener in sockets.parse_tcp(text)] == ["10.0.0.1:80"]


@given(st.text())
def test_any_text_is_read_without_a_failure(text: str) -> None:
    sockets.parse_tcp(text)
    sockets.parse_unix(text)


def test_unix_sockets_that_accept_and_have_a_name() -> None:
    text = (
        f"{UNIX_HEADER}"
        "00000000ee7baa11: 00000002 00000000 00010000 0001 01 11381 /run/shop/my app.sock\n"
        "00000000f7be9add: 00000003 00000000 00000000 0001 03 10851 /run/connected.sock\n"
        "0000000041959295: 00000002 00000000 00010000 0001 01 11166 @abstract\n"
        "0000000041959296: 00000002 00000000 00010000 0001 01 11167\n"
    )
    assert [(str(found), found.inode) for found in sockets.parse_unix(text)] == [
        ("unix:/run/shop/my app.sock", 11381),
        ("unix:@abstract", 11166),
    ]


def at(*addresses: str) -> list[Listener]:
    return [
        Listener(ipaddress.ip_address(address), 80, 0, inode)
        for inode, address in enumerate(addresses)
    ]


@pytest.mark.parametrize(
    ("listening", "address", "expected"),
    [
        (["127.0.0.1", "0.0.0.0", "::"], "127.0.0.1", "127.0.0.1"),
        (["0.0.0.0", "::"], "127.0.0.1", "0.0.0.0"),
        (["::"], "127.0.0.1", "::"),
        (["::"], "::1", "::"),
        (["0.0.0.0"], "::1", None),
        (["127.0.0.2"], "127.0.0.1", None),
    ],
)
def test_the_socket_that_a_connection_reaches(
    listening: list[str], address: str, expected: str | None
) -> None:
    found = sockets.accepting(at(*listening), ipaddress.ip_address(address), 80)
    assert [str(listener.address) for listener in found] == ([expected] if expected else [])
    assert sockets.accepting(at(*listening), ipaddress.ip_address(address), 81) == []


def test_all_that_share_a_port_are_reached() -> None:
    found = sockets.accepting(at("0.0.0.0", "0.0.0.0"), ipaddress.ip_address("127.0.0.1"), 80)
    assert len(found) == 2


def _address_family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if address.version == 6 else socket.AF_INET


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_this_process_holds_what_it_listens_on(address: str) -> None:
    family = _address_family(ipaddress.ip_address(address))
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]
        inode = os.fstat(server.fileno()).st_ino
        found = sockets.accepting(sockets.listening(), ipaddress.ip_address(address), port)
        assert [listener.inode for listener in found] == [inode]
        assert inode in sockets.inodes(os.getpid())
        assert sockets.holders([os.getpid(), 2**22 + 1], frozenset({inode})) == [os.getpid()]


def test_this_process_holds_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        assert f"unix:{tmp_path / 's'}" in map(str, sockets.listening(os.getpid()))


def test_the_kernel_words_are_in_the_byte_order_of_this_machine() -> None:
    assert sys.byteorder in {"little", "big"}
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        place = f"127.0.0.1:{server.getsockname()[1]}"
        assert place in map(str, sockets.listening())
