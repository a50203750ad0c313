"""Redis, Valkey and KeyDB servers of this host, as they answer for themselves.

Only questions are sent (INFO, CONFIG GET, SELECT, SCAN, TYPE), only over loopback and unix
sockets, and in bounded time and memory: anybody may listen where Redis is expected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.host.redis import places

if TYPE_CHECKING:
    from advisor.documents import Redis

# Anybody may start processes by these names; each may cost the time of one refusal.
MOST = 8


def discover() -> tuple[list[Redis], list[Unknown]]:
    """The servers found here, and what they or their sockets would not tell."""
    found, unknown = places.find()
    if not found:
        return [], unknown
    from advisor.host.redis.questions import examine  # noqa: PLC0415 - redis-py is slow to load

    servers: list[Redis] = []
    for place in found[:MOST]:
        server, gaps = examine(place)
        servers += [server] if server else []
        unknown += gaps
    if (left := len(found) - MOST) > 0:
        unknown.append(
            Unknown(
                what=f"{left} more Redis servers",
                why=f"only the first {MOST} are asked",
                remedy=f"set {places.VARIABLE} to the one that matters",
            )
        )
    return servers, unknown
