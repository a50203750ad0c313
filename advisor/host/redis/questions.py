"""The questions put to one server, and what it would not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.documents import Unknown
from advisor.host.redis import answers
from advisor.host.redis.client import (
    NONSENSE,
    Budget,
    Client,
    Denied,
    NoAnswer,
    Refused,
    Strange,
    connected,
)
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
LATER = "ask again when it is less busy"
ACL = "~* +info +config|get +select +scan +type"


def examine(place: Place) -> tuple[Redis | None, list[Unknown]]:
    """What the server at a place tells, over the first of its sockets that answers as Redis.

    None where none does, and for a Sentinel, which holds no data.
    """
    budget = Budget()
    why = ""
    for socket in place.sockets:
        address, said = str(socket), place.credentials.get(str(socket))
        with connected(socket, said, budget) as client:
            try:
                return _examine(client, address)
            except Refused as refusal:
                return answers.nothing(address), [_refused(address, refusal, asked=bool(said))]
            except NoAnswer as error:
                why = why or str(error)
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
    except Denied as error:
        if error.acl:
            return answers.nothing(address), [_gap(address, "the state", error)]
        raise
    if not isinstance(info, str) or "redis_version" not in answers.parse_info(info):
        raise Strange(NONSENSE)
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
    except NoAnswer as error:
        return config, [_gap(address, "the snapshots and I/O threads", error)]
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
    except NoAnswer as error:
        return None, [_gap(address, "the queues", error)]
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
                raise Strange(NONSENSE)
        if cursor == "0":
            return names, True
    return names, False


def _refused(address: str, refusal: Refused, *, asked: bool) -> Unknown:
    wrong = f"the user or password of {VARIABLE} is refused"
    return Unknown(
        what=f"the state of Redis at {address}",
        why=wrong if refusal.password and asked else str(refusal),
        remedy=_remedy(address) if refusal.password else LATER,
    )


def _gap(address: str, what: str, error: NoAnswer) -> Unknown:
    remedy = _remedy(address)
    if isinstance(error, Strange):
        remedy = LATER
    elif isinstance(error, Denied) and not error.acl:
        remedy = "look in its configuration file: rename-command may hide it"
    return Unknown(what=f"{what} of Redis at {address}", why=str(error), remedy=remedy)


def _remedy(address: str) -> str:
    """How to let it be read and nothing more (Redis 6 on, redis.io's page on ACLs)."""
    scheme = "unix" if address.startswith("unix:") else "redis"
    where = address.removeprefix("unix:")
    return (
        f"ACL SETUSER advisor on '>PASSWORD' {ACL}; "
        f"then set {VARIABLE}={scheme}://advisor:PASSWORD@{where}"
    )
