"""A loopback of one's own: tests that run side by side do not meet at a port.

A test that frees a port and calls it again, to be refused, may otherwise reach the server that
another session's test has just put there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNET = 0x40000000  # unshare(2)
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1  # netdevice(7)


def own() -> None:
    """Give this process, and all that it starts, a new network namespace.

    Raises `PermissionError` for who is not root, and for root in most containers.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
