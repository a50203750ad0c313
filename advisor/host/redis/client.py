"""A connection to what may be Redis: redis-py's, with an end to its patience and memory.

redis-py waits for each piece of an answer anew and keeps all of it: what trickles or never
ends would hold the advisor for ever.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeout

from advisor.host.sockets import UnixListener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from advisor.host.redis.places import Credentials
    from advisor.host.sockets import Listener

PATIENCE_S = 2.0
MOST_BYTES = 4 * 2**20
NONSENSE = "it cannot be reached, or does not answer as Redis does"


class NoAnswer(Exception):
    """Why a question got no answer: caught where it becomes an unknown."""


class Refused(NoAnswer):
    """It is a Redis, and tells nothing: a password is wanted or wrong, or it is loading."""

    def __init__(self, why: str, *, password: bool) -> None:
        super().__init__(why)
        self.password = password


class Denied(NoAnswer):
    """This one command is denied, or (`acl` is false) not known."""

    def __init__(self, command: object, *, acl: bool) -> None:
        super().__init__(f"its ACL denies {command}" if acl else f"it knows no {command}")
        self.acl = acl


class Strange(NoAnswer):
    """What listens there does not answer as Redis does, or not in time."""


@dataclass
class Budget:
    """What is left for one server: until when to wait, by the monotonic clock, and bytes."""

    until: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)
    bytes_left: int = MOST_BYTES

    def seconds(self) -> float:
        """The time left; `TimeoutError` for none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def take(self, count: int) -> None:
        """Count what was read; `OSError` where it is too much."""
        self.bytes_left -= count
        if self.bytes_left < 0:
            raise OSError(f"more than {MOST_BYTES} bytes")


class _Metered(socket.socket):
    """A socket that reads within a budget, whichever parser redis-py has."""

    budget: Budget

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self.settimeout(self.budget.seconds())
        data = super().recv(size, flags)
        self.budget.take(len(data))
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0, /) -> int:
        self.settimeout(self.budget.seconds())
        count = super().recv_into(buffer, size, flags)
        self.budget.take(count)
        return count


class Client:
    """One server's connection, asked one question after another."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ask(self, *words: str | int) -> Any:
        """The answer to one command, texts as text.

        Raises:
            NoAnswer: one of the three above.
        """
        try:
            self._connection.send_command(*words)
            return self._connection.read_response()
        except AuthenticationError as error:
            raise Refused("it wants a password", password=True) from error
        except BusyLoadingError as error:
            raise Refused("it is still loading its data", password=False) from error
        except ResponseError as error:
            raise Denied(words[0], acl=isinstance(error, NoPermissionError)) from error
        except (RedisTimeout, TimeoutError) as error:
            raise Strange(f"no whole answer within {PATIENCE_S:g} s") from error
        # A parser that is fed nonsense fails in any way that int() and recursion can.
        except (RedisError, OSError, ValueError, TypeError, RecursionError) as error:
            raise Strange(NONSENSE) from error


@contextmanager
def connected(
    place: Listener | UnixListener, credentials: Credentials | None, budget: Budget
) -> Iterator[Client]:
    """A client of the server at a socket; the connection itself is made by the first question."""
    options: dict[str, Any] = {
        "username": credentials and credentials.username,
        "password": credentials and credentials.password,
        "socket_timeout": PATIENCE_S,
        "socket_connect_timeout": PATIENCE_S,
        "protocol": 2,
        "decode_responses": True,
        "encoding_errors": "replace",
    }
    kind: Any = _Unix if isinstance(place, UnixListener) else _Tcp
    where = (
        {"path": place.path}
        if isinstance(place, UnixListener)
        else {"host": str(place.address), "port": place.port}
    )
    connection = kind(**where, **options)
    connection.budget = budget
    try:
        yield Client(connection)
    finally:
        connection.disconnect()


class _Bounded:
    """Puts the metered socket in the place of redis-py's own."""

    budget: Budget

    def _connect(self) -> socket.socket:
        # The next class is redis-py's connection, which a mixin by itself does not name to mypy.
        plain: socket.socket = super()._connect()  # type: ignore[misc]
        metered = _Metered(plain.family, plain.type, plain.proto, fileno=plain.detach())
        metered.settimeout(PATIENCE_S)
        metered.budget = self.budget
        return metered


class _Tcp(_Bounded, Connection):
    pass


class _Unix(_Bounded, UnixDomainSocketConnection):
    host = ""  # redis-py 8 asks for it where a connection fails
