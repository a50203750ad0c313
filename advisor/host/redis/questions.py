"""The questions put to one server, and what it would not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.host.redis import answers
from advisor.host.redis.client import Client, Denied, Refused, Strange, connected
from advisor.host.redis.places import VARIABLE

if TYPE_CHECKING:
    from advisor.documents import Redis
    from advisor.host.redis.places import Place

CONFIG = ("maxmemory*", "save", "appendonly", "*-threads")
# Keys looked at: a page is what one SCAN steps over, which holds the server up for well below
# a millisecond.
PAGE = 250
PAGES = 4
DATABASES = 16
ACL = "~* +info +config|get +select +scan +type"


def examine(place: Place) -> tuple[Redis | None, list[Unknown]]:
    """What the server at a place tells, over the first of its sockets that answers as Redis.

    None where none does, and for a Sentinel, which holds no data.
    """
    why = ""
    for socket in place.sockets:
        with connected(socket, place.credentials.get(str(socket))) as client:
            try:
                return _examine(client, str(socket))
            except Refused as refusal:
                password = place.credentials.get(str(socket)) is not None
                return answers.nothing(str(socket)), [
                    _refused(str(socket), refusal, password=password)
                ]
            except Strange as strange:
                why = why or str(strange)
    return None, [
        Unknown(
            what=f"whether Redis listens at {', '.join(map(str, place.sockets))}",
            why=why,
            remedy=f"run as a user who may connect, or set {VARIABLE} to where it does",
        )
    ]


def _examine(client: Client, address: str) -> tuple[Redis | None, list[Unknown]]:
    try:
        info = client.ask("INFO")
    except Denied:
        return answers.nothing(address), [_denied(address, "the state", "its ACL denies INFO")]
    if not isinstance(info, str) or "redis_version" not in answers.parse_info(info):
        raise Strange("no answer as Redis gives it")
    if answers.parse_info(info).get("redis_mode") == "sentinel":
        return None, []
    config, unknown = _config(client, address)
    broker, gaps = _broker(client, address, info)
    return answers.server(address, info, config, broker), unknown + gaps


def _config(client: Client, address: str) -> tuple[dict[str, str], list[Unknown]]:
    config: dict[str, str] = {}
    try:
        for name in CONFIG:
            config |= answers.parse_config(client.ask("CONFIG", "GET", name))
    except Denied:
        what = "the snapshots and I/O threads"
        return config, [_denied(address, what, "CONFIG GET is denied or renamed")]
    return config, []


def _broker(client: Client, address: str, info: str) -> tuple[str | None, list[Unknown]]:
    """The queues whose keys the databases hold, as far as a few pages of them show."""
    keyspace = answers.databases(info)
    found: set[str] = set()
    unseen = sum(keys for keys, _ in [*keyspace.values()][DATABASES:])
    try:
        for number, (keys, _) in [*keyspace.items()][:DATABASES]:
            client.ask("SELECT", number)
            names, whole = _names(client)
            typical = names & answers.TYPICAL.keys() if whole else answers.TYPICAL.keys()
            present = {
                name for name in typical if client.ask("TYPE", name) == answers.TYPICAL[name]
            }
            found |= answers.queues((names - answers.TYPICAL.keys()) | present)
            unseen += 0 if whole else max(0, keys - len(names))
    except Denied:
        why = "SELECT, SCAN or TYPE is denied"
        return None, [_denied(address, "whether it is a broker", why)]
    if not found and unseen:
        return None, [
            Unknown(
                what=f"whether Redis at {address} is a broker",
                why=f"no queue's usual keys, and {unseen} keys were not looked at",
                remedy="set redis.role in advisor.yml",
            )
        ]
    return ", ".join(sorted(found)) or None, []


def _names(client: Client) -> tuple[set[str], bool]:
    """Names of keys of the selected database, and whether these are all it holds."""
    names: set[str] = set()
    cursor = "0"
    for _ in range(PAGES):
        match client.ask("SCAN", cursor, "COUNT", PAGE):
            case [str() as cursor, list() as page]:
                names |= {name for name in page if isinstance(name, str)}
            case _:
                raise Strange("no answer as Redis gives it")
        if cursor == "0":
            return names, True
    return names, False


def _refused(address: str, refusal: Refused, *, password: bool) -> Unknown:
    if not refusal.wants_password:
        return Unknown(what=f"Redis at {address}", why=str(refusal), remedy="ask again later")
    if password:
        why = f"the user or password of {VARIABLE} is refused"
        return Unknown(what=f"Redis at {address}", why=why, remedy=_remedy(address))
    return Unknown(what=f"Redis at {address}", why=str(refusal), remedy=_remedy(address))


def _denied(address: str, what: str, why: str) -> Unknown:
    return Unknown(what=f"{what} of Redis at {address}", why=why, remedy=_remedy(address))


def _remedy(address: str) -> str:
    """How to let it be read and nothing more (Redis 6 on, redis.io's page on ACLs)."""
    scheme = "unix" if address.startswith("unix:") else "redis"
    where = address.removeprefix("unix:")
    return (
        f"ACL SETUSER advisor on '>PASSWORD' {ACL}; "
        f"then set {VARIABLE}={scheme}://advisor:PASSWORD@{where}"
    )
